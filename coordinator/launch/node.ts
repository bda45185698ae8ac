import type { RunConfig } from "../../shared/config/run_config.ts";
import { type WorkerOutput, workerOutput } from "./worker_output.ts";

/** Where the standard error of this node's workers goes; undefined where it is only kept to explain their ends. */
export function outputOf({ log_dir, tee }: RunConfig): WorkerOutput | undefined {
  if (log_dir === null) return undefined;
  return workerOutput({ log_dir, show: tee === "2" || tee === "3" ? show : undefined });
}

/** As `outputOf`, for a node whose run is coordinated elsewhere: what its workers say is all that there is to see. */
export function nodeOutput(config: RunConfig): WorkerOutput {
  return outputOf(config) ?? workerOutput({ log_dir: null, show });
}

function show(line: string): void {
  console.error(line);
}

/**
 * torchrun's variables, for models and engines of the user's own. Ranks are those of a run whose nodes are alike and whose
 * members never change; what a member is in a generation the coordinator decides.
 */
export function workerEnvironment(
  { node_rank, nnodes, master_addr, master_port }: RunConfig,
  { localRank, count }: { localRank: number; count: number },
): Record<string, string> {
  const [nodes] = nnodes.split(":").slice(-1);
  const node = node_rank ?? 0;
  return {
    LOCAL_RANK: String(localRank),
    LOCAL_WORLD_SIZE: String(count),
    GROUP_RANK: String(node),
    RANK: String(node * count + localRank),
    WORLD_SIZE: String(Number(nodes) * count),
    MASTER_ADDR: master_addr ?? "127.0.0.1",
    MASTER_PORT: String(master_port),
  };
}
