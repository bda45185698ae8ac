import { join } from "node:path";
import { epochsOf } from "../epoch.ts";

/**
 * How long a run has trained in all its starts, in seconds: of each, from its claim of the run to the last step that it
 * decided, by the times of these files. So it is known too of starts that were killed.
 */
export async function trainingSeconds(dir: string): Promise<number> {
  let ms = 0;
  for (const epoch of epochsOf(dir)) {
    const [began, ended] = await Promise.all([
      modifiedMs(join(dir, `epoch-${epoch}`)),
      modifiedMs(join(dir, `ledger-${epoch}.jsonl`)),
    ]);
    if (began !== null && ended !== null) ms += Math.max(0, ended - began);
  }
  return ms / 1_000;
}

async function modifiedMs(path: string): Promise<number | null> {
  const info = await Deno.stat(path).catch(() => null);
  return info?.mtime?.getTime() ?? null;
}
