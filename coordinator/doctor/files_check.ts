import { type Check, failure, ok, warning } from "./check.ts";
import { type MachineLimits, readMachineLimits } from "./machine_limits.ts";

/** What Deno, libraries and files of a run have open. */
const BASE = 128;
/** Of each worker: its process, pipes, connections to it and its lanes. */
const FOR_EACH_WORKER = 24;
/** With as many, nothing that is usual comes near. */
const EASY = 1_024;

/** Whether a process may have as many files open as a run needs: connections count too. */
export function filesCheck(
  { read = readMachineLimits }: { read?: () => Promise<Pick<MachineLimits, "openFiles">> } = {},
): Check {
  return {
    name: "files",
    async run({ config, plan }) {
      const { openFiles } = await read();
      const { count } = await plan.workers().catch(() => ({ count: 1 }));
      const nodes = Number(config.nnodes.split(":").at(-1));
      const need = BASE + FOR_EACH_WORKER * count * nodes;
      if (openFiles === null) return ok("no limit of open files is known");
      const detail = `${openFiles} open files a process, about ${need} needed`;
      const fix = `raise the hard limit: ulimit -Hn ${
        Math.max(EASY, need)
      }, LimitNOFILE= of systemd, or limits.conf`;
      if (openFiles < need) return failure(detail, fix);
      return openFiles < Math.min(EASY, 2 * need) ? warning(detail, fix) : ok(detail);
    },
  };
}
