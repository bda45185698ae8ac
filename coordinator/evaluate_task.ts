import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import { openTask } from "../shared/tasks/open_task.ts";
import type { Metric, Task } from "../shared/tasks/task.ts";
import { evaluate, totalOf } from "./evaluation.ts";
import type { Group } from "./group.ts";

export interface EvaluateTaskOptions {
  /** As `openEvaluation` opens it. */
  readonly task: Task;
  readonly group: Group;
  readonly config: RunConfig;
  /** A number that no other evaluation of this group has. */
  readonly evaluation: number;
  onProgress?(done: number, of: number): void;
}

/** A task's figures, and a few items to look at. */
export interface TaskResult {
  readonly name: string;
  readonly metrics: Metric[];
  readonly shown: string[];
}

/** Batches hold about this many tokens, so that generation and scoring run at speed. */
const BATCH_TOKENS = 2048;
const SHOWN_ITEMS = 3;

/** Opens a task in batches of the size that members are asked for. Close it after use. Throws as `openTask`. */
export function openEvaluation(name: string, config: RunConfig): Promise<Task> {
  return openTask(name, { ...config, batch_size: batchSizeOf(config) });
}

function batchSizeOf({ block_size }: RunConfig): number {
  return Math.max(1, Math.floor(BATCH_TOKENS / block_size));
}

/** Has the members evaluate a task and summarizes what they found: the same figures for any number of members. */
export async function evaluateTask(options: EvaluateTaskOptions): Promise<TaskResult> {
  const { task, group, config, evaluation, onProgress } = options;
  const { name, batchCount } = task;
  const result = await evaluate(group, {
    evaluation,
    request: {
      kind: "task",
      name,
      items: config.eval_items,
      batchSize: batchSizeOf(config),
      show: SHOWN_ITEMS,
    },
    batchCount,
    onProgress: (done) => onProgress?.(done, batchCount),
  });
  return { name, metrics: task.summarize(totalOf(result)), shown: result.shown };
}

/** Why an evaluation was given up: its figures count only if they are whole. */
export function evaluationStopped(
  code: "E_INTERRUPTED" | "E_TIME",
  { step, config: { max_time } }: { step: number; config: RunConfig },
): LockstepError {
  const why = code === "E_TIME" ? ` as max_time (${max_time}) is over` : "";
  return new LockstepError(code, `Stopped during the evaluation after step ${step}${why}`);
}

/** Values and bounds by name, as eval.jsonl keeps them: "accuracy", "accuracy_low", "accuracy_high". */
export function figuresOf(metrics: readonly Metric[]): Record<string, number> {
  return Object.fromEntries(metrics.flatMap(({ name, value, low, high }) => [
    [name, value],
    [`${name}_low`, low],
    [`${name}_high`, high],
  ]));
}

/** The task by which a run is judged at its end. */
export function taskOf({ dataset }: Pick<RunConfig, "dataset">): string {
  return dataset === "text" ? "perplexity" : dataset;
}

/** Whether a run is judged by its best checkpoint rather than by its last. */
export function evaluatesBest({ early_stopping_patience, eval_only }: RunConfig): boolean {
  return early_stopping_patience !== null && !eval_only;
}
