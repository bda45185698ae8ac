import type { RunConfig } from "../shared/config/run_config.ts";
import { openTask } from "../shared/tasks/open_task.ts";
import type { Metric } from "../shared/tasks/task.ts";
import { evaluate, totalOf } from "./evaluation.ts";
import type { Group } from "./group.ts";

export interface EvaluateTaskOptions {
  readonly name: string;
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

/** Has the members evaluate a task and summarizes what they found: the same figures for any number of members. */
export async function evaluateTask(options: EvaluateTaskOptions): Promise<TaskResult> {
  const { name, group, config, evaluation, onProgress } = options;
  const batchSize = Math.max(1, Math.floor(BATCH_TOKENS / config.block_size));
  const task = await openTask(name, { ...config, batch_size: batchSize });
  try {
    const result = await evaluate(group, {
      evaluation,
      request: { kind: "task", name, items: config.eval_items, batchSize, show: SHOWN_ITEMS },
      batchCount: task.batchCount,
      onProgress: (done) => onProgress?.(done, task.batchCount),
    });
    return { name, metrics: task.summarize(totalOf(result)), shown: result.shown };
  } finally {
    task.close();
  }
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
