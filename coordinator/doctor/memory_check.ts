import { type Check, describeBytes, failure, ok, warning } from "./check.ts";
import { type MachineLimits, readMachineLimits } from "./machine_limits.ts";

/** What 32-bit WebAssembly addresses can reach: see worker/arena.ts. */
const LARGEST_ARENA_BYTES = 4 * 2 ** 30 - 65_536;
/** Of a coordinator beside its workers. */
const COORDINATOR_BYTES = 200 << 20;
/** A run that takes more than this share of what is free may be killed when something else needs memory. */
const EASY_SHARE = 0.8;
const FIX =
  "take a smaller model (--n_layer, --n_embd), --batch_size, fewer --nproc_per_node, or a larger machine";

/** Whether the configured model fits into memory, for all workers of this machine. */
export function memoryCheck(
  { read = readMachineLimits }: { read?: () => Promise<Pick<MachineLimits, "memoryBytes" | "memoryOf">> } =
    {},
): Check {
  return {
    name: "memory",
    async run({ plan }) {
      const { parameters, arenaBytes, workerBytes } = await plan.needs();
      const { count, sockets } = await plan.workers().catch(() => ({ count: 1, sockets: false }));
      const { memoryBytes, memoryOf } = await read();
      const total = count * workerBytes + (sockets ? COORDINATOR_BYTES : 0);
      const need = `${parameters.toLocaleString("en-US")} parameters take about ${
        describeBytes(total)
      } (${count} × ${describeBytes(workerBytes)})`;
      if (arenaBytes > LARGEST_ARENA_BYTES) {
        return failure(`${need}, and one arena of ${describeBytes(arenaBytes)}: it holds at most 4 GiB`, FIX);
      }
      if (memoryBytes === null) {
        return warning(`${need}; how much is free is not known here`, "make sure that there is as much");
      }
      const detail = `${need} of ${describeBytes(memoryBytes)} that ${memoryOf} has left`;
      if (total > memoryBytes) return failure(detail, FIX);
      return total > EASY_SHARE * memoryBytes ? warning(detail, FIX) : ok(detail);
    },
  };
}
