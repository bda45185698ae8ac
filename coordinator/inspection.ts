import { type Manifest, readManifest } from "../shared/checkpoint/manifest.ts";
import type { CheckpointState } from "../shared/checkpoint/state.ts";
import { CheckpointStore } from "../shared/checkpoint/store.ts";
import { LockstepError } from "../shared/errors.ts";
import { type EvalLine, type MetricsLine, readEvals, readMetrics } from "../shared/metrics.ts";
import { runDirAt } from "../shared/run_dir.ts";

/** A checkpoint of a run: its state if every byte of it verifies, otherwise what is wrong with it. */
export interface CheckpointReport {
  step: number;
  /** Of its files, state.json apart; null where it does not verify. */
  bytes: number | null;
  state: CheckpointState | null;
  problem: string | null;
  latest: boolean;
  best: boolean;
}

/** What a run's directory holds. */
export interface RunReport {
  path: string;
  manifest: Manifest;
  /** In rising order of steps. */
  checkpoints: CheckpointReport[];
  lastMetrics: MetricsLine | null;
  /** The last line of each task. */
  lastEvals: EvalLine[];
}

/**
 * Reads a run's directory and verifies all its checkpoints; changes nothing, so that the run may go on meanwhile.
 * Throws E_OUT_DIR if `path` holds no run, E_DECODE if its manifest or metrics are damaged.
 */
export async function inspectRun(path: string): Promise<RunReport> {
  const run = runDirAt(path);
  const manifest = await readManifest(run.manifest);
  let lastMetrics: MetricsLine | null = null;
  for await (const line of readMetrics(run.metrics)) lastMetrics = line;
  const lastEvals = new Map<string, EvalLine>();
  for await (const line of readEvals(run.evals)) lastEvals.set(line.task, line);
  return {
    path,
    manifest,
    checkpoints: await inspectCheckpoints(new CheckpointStore(run.checkpoints)),
    lastMetrics,
    lastEvals: [...lastEvals.values()],
  };
}

async function inspectCheckpoints(store: CheckpointStore): Promise<CheckpointReport[]> {
  const [latest, best] = [await store.named("LATEST"), await store.named("BEST")];
  const reports: CheckpointReport[] = [];
  for (const step of await store.steps()) {
    const found = await verify(store, step);
    reports.push({ step, ...found, latest: step === latest, best: step === best });
  }
  return reports;
}

async function verify(
  store: CheckpointStore,
  step: number,
): Promise<Pick<CheckpointReport, "bytes" | "state" | "problem">> {
  try {
    const { state } = await store.load(step);
    const bytes = Object.values(state.files).reduce((sum, file) => sum + file.bytes, 0);
    return { bytes, state, problem: null };
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return { bytes: null, state: null, problem: error.message };
  }
}
