import type { RunConfig } from "../../shared/config/run_config.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { readEvals } from "../../shared/metrics.ts";
import type { RunDir } from "../../shared/run_dir.ts";
import { evaluationStopped, taskOf, type TaskResult } from "../evaluate_task.ts";
import type { TimeLimit } from "../time_limit.ts";
import { evalRun } from "./eval_run.ts";
import type { TrainObserver } from "./train_observer.ts";

export interface EvaluateBestOptions {
  /** With the engine and the device that were chosen. */
  readonly config: RunConfig;
  readonly workers: number;
  readonly observer: TrainObserver;
  readonly signal: AbortSignal | undefined;
  readonly limit: TimeLimit;
}

/**
 * Evaluates a run that is over with its best checkpoint, by workers of this machine, unless its eval.jsonl has that already:
 * then null. Throws E_INTERRUPTED, E_TIME where that is given up.
 */
export async function evaluateBest(
  { path, evals, checkpoints }: RunDir,
  { config, workers, observer, signal, limit }: EvaluateBestOptions,
): Promise<TaskResult | null> {
  const best = await new CheckpointStore(checkpoints).named("BEST");
  for await (const { step, task } of readEvals(evals)) {
    if (step !== best || task !== taskOf(config)) continue;
    observer.warn?.(`step ${step} was evaluated before, and is not again: see ${evals}`);
    return null;
  }
  observer.begins?.("evaluating");
  const stopped = (code: "E_INTERRUPTED" | "E_TIME") => evaluationStopped(code, { step: best ?? 0, config });
  const { step, results: [task] } = await evalRun({
    run: path,
    checkpoint: "best",
    tasks: [],
    overrides: { engine: config.engine, device: config.device, nproc_per_node: workers },
    onWarning: (sentence) => observer.warn?.(sentence),
    onProgress(done, of) {
      if (signal?.aborted) throw stopped("E_INTERRUPTED");
      if (limit.isOver(performance.now())) throw stopped("E_TIME");
      observer.evaluating?.({ done, of });
    },
  });
  observer.evaluated?.({ step, task });
  return task;
}
