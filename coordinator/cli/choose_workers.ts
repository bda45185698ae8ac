import { availableParallelism } from "node:os";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { loadLibzmq } from "../../shared/zmq/libzmq.ts";
import { isNativeCodeAllowed } from "../../worker/engines/choose_engine.ts";
import type { Device } from "../../worker/engines/engine.ts";

/** How many workers a run has on this machine, and why. */
export interface WorkerChoice {
  readonly count: number;
  /** Whether they are processes of their own that talk over sockets; one worker needs none. */
  readonly sockets: boolean;
  /** NVIDIA GPUs for them to compute on, one each in turn; empty where they compute elsewhere. */
  readonly gpus: readonly string[];
  /** A few words. */
  readonly reason: string;
}

/** What of a configuration decides about the workers. */
export type WorkerOptions = Pick<
  RunConfig,
  "nproc_per_node" | "gradient_accumulation_steps" | "nnodes" | "rdzv_endpoint"
>;

/** Where a run computes. */
export interface Place {
  readonly device: Device;
  /** NVIDIA GPUs of this machine that it may use. */
  readonly gpus: readonly string[];
}

/**
 * Chooses the workers of this machine: as many as `nproc_per_node` says, otherwise one for each GPU or core, at most one for
 * each micro-batch, and one process where more cannot be started. Throws E_WORLD_SIZE for more workers than micro-batches or
 * where processes may not be started, E_ZMQ where sockets are asked for and libzmq does not load, E_ENGINE where one for each
 * GPU is asked for and a run computes on none.
 */
export function chooseWorkers(options: WorkerOptions, { device, gpus }: Place): WorkerChoice {
  const { nproc_per_node, gradient_accumulation_steps: V, nnodes, rdzv_endpoint } = options;
  const meets = nnodes !== "1" || rdzv_endpoint !== null;
  if (typeof nproc_per_node === "number") {
    refuseIdle(nproc_per_node, V);
    const sockets = meets || nproc_per_node > 1;
    if (sockets) requireProcesses();
    return { count: nproc_per_node, sockets, gpus, reason: `--nproc_per_node=${nproc_per_node}` };
  }
  if (nproc_per_node === "gpu" && device === "cpu") {
    throw new LockstepError(
      "E_ENGINE",
      "Cannot start a worker for each GPU as the run computes on the CPU: use --nproc_per_node=cpu, or a --device that works",
    );
  }
  if (meets) requireProcesses();
  const obstacle = obstacleToProcesses();
  if (obstacle !== null) return { count: 1, sockets: false, gpus: [], reason: `one process as ${obstacle}` };
  const places = placesFor(device, { gpus, wanted: nproc_per_node });
  const count = Math.min(places.count, V);
  const reason = `${places.count} ${places.unit}, ${V} micro-batches a step`;
  return { count, sockets: meets || count > 1, gpus, reason };
}

/** How many workers find a place to compute. WebGPU gives every process the same adapter. */
function placesFor(
  device: Device,
  { gpus, wanted }: { gpus: readonly string[]; wanted: "auto" | "cpu" | "gpu" },
): { count: number; unit: string } {
  if (device === "cpu" || wanted === "cpu") {
    const count = availableParallelism();
    return { count, unit: count === 1 ? "core" : "cores" };
  }
  const count = device === "cuda" ? gpus.length : 1;
  return { count, unit: count === 1 ? "GPU" : "GPUs" };
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
