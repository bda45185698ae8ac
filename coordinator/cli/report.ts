import { about, text } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { fileError, writeFileAtomic } from "../../shared/files.ts";
import { reportHtml } from "../report/report_html.ts";
import { readReportedRuns } from "../report/reported_run.ts";
import { defineCommand } from "./command.ts";

/** `report RUN …`: one file to keep or to send. */
export const command = defineCommand({
  summary: "Write what runs did into one HTML file that needs nothing else",
  usage: "RUN … [--out=report.html]",
  options: {
    out: text("a file").default("report.html").register(about, {
      help: "The file to write; one that is there is written anew",
    }),
  },
  example: "lockstep report out/sort-demo out/sort-demo-2 --out=report.html",
  async run({ options: { out }, words: paths }) {
    if (paths.length === 0) {
      throw new LockstepError(
        "E_USAGE",
        "Cannot report as at least one run's folder is required, such as out/sort-demo: given are 0",
      );
    }
    const runs = await readReportedRuns(paths);
    const html = reportHtml(runs, { created: new Date().toISOString() });
    try {
      await writeFileAtomic(out, html);
    } catch (error) {
      throw fileError(error, `write ${out}`);
    }
    console.log(`${out}: ${runs.length} ${runs.length === 1 ? "run" : "runs"}, ${html.length} characters`);
    return 0;
  },
});
