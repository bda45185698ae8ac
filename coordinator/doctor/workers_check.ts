import { availableParallelism } from "node:os";
import { type Check, ok, warning } from "./check.ts";

/** How many workers this machine has in a run, and whether their threads find cores. */
export function workersCheck({ cores = availableParallelism() }: { cores?: number } = {}): Check {
  return {
    name: "workers",
    async run({ config, plan }) {
      const { count, reason } = await plan.workers();
      const { device } = await plan.engine().catch(() => ({ device: "cpu" }));
      const detail = `${count} × ${config.threads} ${
        config.threads === 1 ? "thread" : "threads"
      } (${reason})`;
      if (device !== "cpu" || count * config.threads <= cores) return ok(detail);
      return warning(
        `${detail}, and ${cores} cores for them`,
        `lower --nproc_per_node or --threads: their product is at most ${cores}`,
      );
    },
  };
}
