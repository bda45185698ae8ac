import type { PrepareProgress } from "../../shared/data/prepare.ts";
import type { ProgressReport } from "../../shared/progress.ts";

const WHAT: Record<PrepareProgress["phase"], string> = {
  fetch: "fetched",
  collect: "read",
  encode: "encoded",
};

/** How far the preparation of a text is, as a bar shows it. */
export function describePreparation({ phase, doneBytes, totalBytes }: PrepareProgress): ProgressReport {
  return { what: WHAT[phase], done: doneBytes, total: totalBytes, isBytes: true };
}
