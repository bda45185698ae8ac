/** Puts a whole run together: data, run directory, members, coordinator. What `train` and the library's `train` call. */
import { realClock } from "../../shared/clock.ts";
import { durationMs } from "../../shared/config/duration.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { isPrepared, prepareText } from "../../shared/data/prepare.ts";
import { LockstepError } from "../../shared/errors.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import type { RunResult } from "../coordinator.ts";
import { TimeLimit } from "../time_limit.ts";
import { evaluatesBest } from "../evaluate_task.ts";
import { chooseWorkers } from "./choose_workers.ts";
import type { TrainObserver } from "./train_observer.ts";
import { coordinate } from "./coordinate.ts";
import { evaluateBest } from "./evaluate_best.ts";
import { askedEngine, openRun } from "./open_run.ts";

export interface TrainRunOptions {
  readonly config: RunConfig;
  /** Names the run's directory unless `out_dir` does. */
  readonly preset: string;
  readonly observer?: TrainObserver;
  /** Ends the run after the step under way. */
  readonly signal?: AbortSignal;
  /** Since when `max_time` counts, in ms of performance.now(): from the call unless given. */
  readonly startedMs?: number;
}

export interface TrainedRun extends RunResult {
  readonly runDir: string;
  readonly config: RunConfig;
}

/** Trains from the configuration to the end, or until `signal`. */
export async function trainRun(
  { config: given, preset, observer = {}, signal, startedMs = realClock.now() }: TrainRunOptions,
): Promise<TrainedRun> {
  const { max_time } = given;
  const limit = new TimeLimit(max_time === null ? null : startedMs + durationMs(max_time));
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
    const result = await coordinate(opened, { config: chosen, workers, observer, signal, limit });
    const isDue = evaluatesBest(config) && config.eval_items > 0 && !result.stopped;
    const task = isDue
      ? await evaluateBest(opened.dir, { config: chosen, workers: workers.count, observer, signal, limit })
      : result.task;
    return { ...result, task, runDir: opened.dir.path, config };
  } catch (error) {
    await opened.abandon();
    throw error;
  }
}

/** Prepares text where that is needed, and fills in what follows from the data. */
export async function resolveData(config: RunConfig, observer: TrainObserver = {}): Promise<RunConfig> {
  const data_dir = config.dataset === "text" && !isPrepared(config)
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
