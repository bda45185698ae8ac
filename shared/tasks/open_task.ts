import { QUESTION_DATASETS } from "../data/datasets/questions_dataset.ts";
import type { QuestionSetName } from "../data/questions/read_questions.ts";
import { PROBE_NAMES, type ProbeName } from "../data/probes/open_probe.ts";
import { LockstepError } from "../errors.ts";
import { PerplexityTask } from "./perplexity.ts";
import { ProbeTask, type ProbeTaskOptions } from "./probe_task.ts";
import { SortTask, type SortTaskOptions } from "./sort.ts";
import type { Task } from "./task.ts";
import { openClassification, openTextTask } from "./text_tasks.ts";

/** The tasks that `eval --tasks` knows by their names; `classify:FILE?…` is one over a file of one's own. */
export const TASKS = [
  "sort",
  ...PROBE_NAMES,
  "perplexity",
  "lambada",
  ...QUESTION_DATASETS,
] as const;

export type TaskName = typeof TASKS[number];

/** The part of a run's configuration that tasks depend on. */
export interface TaskOptions extends SortTaskOptions, ProbeTaskOptions {
  readonly block_size: number;
  /** Needed by tasks on text. */
  readonly data_dir: string | null;
  /** Folder of the questions of tasks that have some. */
  readonly task_data: string | null;
}

const probe = (name: ProbeName) => (options: TaskOptions) => new ProbeTask(name, options);

const text = (name: QuestionSetName) => (options: TaskOptions) => openTextTask(name, options);

const OPEN: Record<TaskName, (options: TaskOptions) => Task | Promise<Task>> = {
  sort: (options) => new SortTask(options),
  induction: probe("induction"),
  kv_retrieval: probe("kv_retrieval"),
  copy_repeat: probe("copy_repeat"),
  multiplication: probe("multiplication"),
  ioi: probe("ioi"),
  perplexity: (options) => PerplexityTask.open({ ...options, data_dir: textFolder(options) }),
  lambada: text("lambada"),
  arc_easy: text("arc_easy"),
  "babi/1": text("babi/1"),
  "babi/2": text("babi/2"),
  "babi/5": text("babi/5"),
  "glue/cola": text("glue/cola"),
  "glue/sst2": text("glue/sst2"),
};

/**
 * Opens a task by its name. Throws E_USAGE for a name that is none, E_DATA where its text is missing, E_TASK where the model's
 * tokens cannot hold it.
 */
export async function openTask(name: string, options: TaskOptions): Promise<Task> {
  const known = TASKS.find((task) => task === name);
  if (known !== undefined) return await OPEN[known](options);
  if (name.startsWith("classify:")) return await openClassification(name, options);
  throw new LockstepError(
    "E_USAGE",
    `Cannot evaluate the task ${JSON.stringify(name)} as --tasks takes ${
      TASKS.join(", ")
    }, or classify:FILE?…`,
  );
}

function textFolder({ data_dir }: TaskOptions): string {
  if (data_dir !== null) return data_dir;
  throw new LockstepError(
    "E_DATA",
    "Cannot measure perplexity without a text: pass --data_dir=FOLDER with a val.bin",
  );
}
