import { availableParallelism } from "node:os";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { loadLibzmq } from "../../shared/zmq/libzmq.ts";
import { isNativeCodeAllowed } from "../../worker/engines/choose_engine.ts";

/** How many workers a run has on this machine, and why. */
export interface WorkerChoice {
  readonly count: number;
  /** Whether they are processes of their own that talk over sockets; one worker needs none. */
  readonly sockets: boolean;
  /** A few words. */
  readonly reason: string;
}

/** What of a configuration decides about the workers. */
export type WorkerOptions = Pick<
  RunConfig,
  "nproc_per_node" | "gradient_accumulation_steps" | "nnodes" | "rdzv_endpoint"
>;

/**
 * Chooses the workers of this machine: as many as `nproc_per_node` says, otherwise one for each core, at most one for each
 * micro-batch, and one process where more cannot be started. Throws E_WORLD_SIZE for more workers than micro-batches or
 * where processes may not be started, E_ZMQ where sockets are asked for and libzmq does not load.
 */
export function chooseWorkers(options: WorkerOptions): WorkerChoice {
  const { nproc_per_node, gradient_accumulation_steps: V, nnodes, rdzv_endpoint } = options;
  refuseMachines(nnodes);
  const meets = nnodes !== "1" || rdzv_endpoint !== null;
  if (nproc_per_node === "gpu") {
    throw new LockstepError(
      "E_ENGINE",
      "Cannot start a worker for each GPU: no engine for GPUs is built yet; use --nproc_per_node=cpu",
    );
  }
  if (typeof nproc_per_node === "number") {
    refuseIdle(nproc_per_node, V);
    const sockets = meets || nproc_per_node > 1;
    if (sockets) requireProcesses();
    return { count: nproc_per_node, sockets, reason: `--nproc_per_node=${nproc_per_node}` };
  }
  if (meets) requireProcesses();
  const obstacle = obstacleToProcesses();
  if (obstacle !== null) return { count: 1, sockets: false, reason: `one process as ${obstacle}` };
  const cores = availableParallelism();
  const count = Math.min(cores, V);
  return { count, sockets: meets || count > 1, reason: `${cores} cores, ${V} micro-batches a step` };
}

function refuseMachines(nnodes: string): void {
  if (nnodes.split(":")[0] === "1") return;
  throw new LockstepError(
    "E_WORLD_SIZE",
    `Cannot wait for ${nnodes} machines: workers of other machines cannot join yet; use --nnodes=1`,
  );
}

function refuseIdle(workers: number, V: number): void {
  if (workers <= V) return;
  throw new LockstepError(
    "E_WORLD_SIZE",
    `Cannot share ${V} micro-batches a step (gradient_accumulation_steps) among ${workers} workers (nproc_per_node): lower the one or raise the other`,
  );
}

/** Throws unless processes can be started and reached. */
function requireProcesses(): void {
  loadLibzmq();
  if (isRunAllowed()) return;
  throw new LockstepError(
    "E_WORLD_SIZE",
    "Cannot start worker processes as --allow-run is denied: allow it, or use one process (--nproc_per_node=1)",
  );
}

/** Why there can be no worker processes, in a few words; null where there can. */
function obstacleToProcesses(): string | null {
  if (!isNativeCodeAllowed()) return "--allow-ffi is denied";
  if (!isRunAllowed()) return "--allow-run is denied";
  try {
    loadLibzmq();
    return null;
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return "libzmq does not load here";
  }
}

function isRunAllowed(): boolean {
  return Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted";
}
