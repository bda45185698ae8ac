import type {
  DoctorContext,
  PlannedEngine,
  PlannedWorkers,
  RunNeeds,
} from "../../../coordinator/doctor/check.ts";
import { resolveRunConfig } from "../../../shared/config/resolve_run_config.ts";

export const ENGINE: PlannedEngine = { name: "onnx", device: "cpu", reason: "no GPU", hardware: null };
export const WORKERS: PlannedWorkers = { count: 2, sockets: true, reason: "2 cores" };
export const NEEDS: RunNeeds = {
  parameters: 1_000_000,
  arenaBytes: 16e6,
  workerBytes: 1 << 30,
  checkpointBytes: 12e6,
};

/** What a check gets: the configuration of `words`, and a plan of which `plan` replaces some facts, or fails with an error. */
export async function contextOf(
  words: readonly string[] = [],
  { engine = ENGINE, workers = WORKERS, needs = NEEDS }: {
    engine?: PlannedEngine | Error;
    workers?: PlannedWorkers | Error;
    needs?: RunNeeds | Error;
  } = {},
): Promise<DoctorContext> {
  const { config } = await resolveRunConfig(["sort-demo", ...words]);
  return { config, plan: { engine: give(engine), workers: give(workers), needs: give(needs) } };
}

function give<T>(fact: T | Error): () => Promise<T> {
  return () => fact instanceof Error ? Promise.reject(fact) : Promise.resolve(fact);
}
