/** Puts a whole run together: data, run directory, members, coordinator. What `train` and the library's `train` call. */
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { configHash } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { type PrepareProgress, prepareText } from "../../shared/data/prepare.ts";
import { LockstepError } from "../../shared/errors.ts";
import {
  type EvalLine,
  type LineWriter,
  type MetricsLine,
  openEvals,
  openMetrics,
} from "../../shared/metrics.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { runCoordinator, type RunObserver, type RunResult } from "../coordinator.ts";
import type { TaskResult } from "../evaluate_task.ts";
import { rendezvousEndpoint } from "../launch/rendezvous.ts";
import { chooseWorkers, type WorkerChoice } from "./choose_workers.ts";
import { musterCrew } from "./crew.ts";
import { askedEngine, type OpenedRun, openRun } from "./open_run.ts";

export interface TrainRunOptions {
  readonly config: RunConfig;
  /** Names the run's directory unless `out_dir` does. */
  readonly preset: string;
  readonly observer?: TrainObserver;
  /** Ends the run after the step under way. */
  readonly signal?: AbortSignal;
}

/** What is told besides the run itself. */
export interface TrainObserver extends RunObserver {
  /** Before anything is started: what computes, how many, and why. */
  plan?(plan: RunPlan): void;
  preparing?(progress: PrepareProgress): void;
  warn?(sentence: string): void;
}

/** What a run consists of. */
export interface RunPlan {
  readonly engine: string;
  readonly device: string;
  /** The adapter and its limits, in words; null for a CPU. */
  readonly hardware: string | null;
  readonly workers: number;
  readonly threads: number;
  readonly reason: string;
  readonly runDir: string;
  /** Where it goes on; 0 for a new run. */
  readonly step: number;
}

export interface TrainedRun extends RunResult {
  readonly runDir: string;
  readonly config: RunConfig;
}

/** Trains from the configuration to the end, or until `signal`. */
export async function trainRun(
  { config: given, preset, observer = {}, signal }: TrainRunOptions,
): Promise<TrainedRun> {
  const config = await resolveData(given, observer);
  const engine = await chooseEngine(await askedEngine(config, { preset }));
  const workers = chooseWorkers(config, engine);
  const opened = await openRun(config, { preset, engine });
  for (const warning of opened.warnings) observer.warn?.(warning);
  observer.plan?.({
    engine: engine.name,
    device: engine.device,
    hardware: engine.hardware,
    workers: workers.count,
    threads: config.threads,
    reason: `${engine.reason}; ${workers.reason}`,
    runDir: opened.dir.path,
    step: opened.snapshot?.step ?? 0,
  });
  try {
    const chosen = { ...config, engine: engine.name, device: engine.device };
    const result = await trainIn(opened, { config: chosen, workers, observer, signal });
    return { ...result, runDir: opened.dir.path, config };
  } catch (error) {
    await opened.abandon();
    throw error;
  }
}

interface TrainInOptions {
  /** With the engine and the device that were chosen. */
  readonly config: RunConfig;
  readonly workers: WorkerChoice;
  readonly observer: TrainObserver;
  readonly signal: AbortSignal | undefined;
}

/** Trains in a directory that is this run's, and writes its lines there. */
async function trainIn(
  { dir, snapshot, accept }: OpenedRun,
  { config, workers, observer, signal }: TrainInOptions,
): Promise<RunResult> {
  const resumeAt = snapshot?.step ?? 0;
  using metrics = await openMetrics(dir.metrics, { resumeAt });
  using evals = await openEvals(dir.evals, { resumeAt });
  const store = new CheckpointStore(dir.checkpoints, { keep: config.keep_checkpoints });
  await store.sweep();
  const crew = await musterCrew({
    ...workers,
    engine: config.engine,
    verbose: config.verbose,
    endpoint: config.rdzv_endpoint === null ? undefined : rendezvousEndpoint(config.rdzv_endpoint),
  });
  try {
    const result = await runCoordinator({
      members: crew.members,
      config,
      configHash: configHash(config),
      store,
      snapshot,
      shouldStop: () => signal?.aborted ?? false,
      accept,
      observer: noting(observer, { config, metrics, evals }),
    });
    await crew.finish();
    return result;
  } catch (error) {
    await crew.kill();
    throw error;
  }
}

/** An observer that writes what it is told to the run's files too. Training does not stop for a line that finds no place. */
function noting(
  observer: TrainObserver,
  { config, metrics, evals }: {
    config: RunConfig;
    metrics: LineWriter<MetricsLine>;
    evals: LineWriter<EvalLine>;
  },
): TrainObserver {
  let warned = false;
  const append = <T>(writer: LineWriter<T>, line: T) => {
    try {
      writer.append(line);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      if (!warned) observer.warn?.(`${error.code}: ${error.message}; training goes on without such lines`);
      warned = true;
    }
  };
  return {
    ...observer,
    step(line) {
      if (line.step % config.log_interval === 0 || line.step === config.max_iters - 1) append(metrics, line);
      observer.step?.(line);
    },
    estimate(estimate) {
      const { step, train, val } = estimate;
      append(evals, { step, task: "estimate", metrics: { train_loss: train, val_loss: val } });
      observer.estimate?.(estimate);
    },
    evaluated(result) {
      append(evals, { step: result.step, task: result.task.name, metrics: valuesOf(result.task) });
      observer.evaluated?.(result);
    },
  };
}

function valuesOf({ metrics }: TaskResult): EvalLine["metrics"] {
  return Object.fromEntries(metrics.flatMap(({ name, value, low, high }) => [
    [name, value],
    [`${name}_low`, low],
    [`${name}_high`, high],
  ]));
}

/** Prepares text where that is needed, and fills in what follows from the data. */
export async function resolveData(config: RunConfig, observer: TrainObserver = {}): Promise<RunConfig> {
  const isPrepared = config.data_dir !== null && (config.data === null || config.init_from === "resume");
  const data_dir = config.dataset === "text" && !isPrepared
    ? (await prepareText(config, (progress) => observer.preparing?.(progress))).dataDir
    : config.data_dir;
  const dataset = await openDataset({ ...config, data_dir });
  const { vocabSize } = dataset;
  dataset.close();
  if (config.vocab_size !== 0 && config.vocab_size < vocabSize) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot train with vocab_size ${config.vocab_size} as the data has ${vocabSize} token ids: leave it out or give at least that`,
    );
  }
  return { ...config, data_dir, vocab_size: config.vocab_size || vocabSize };
}
