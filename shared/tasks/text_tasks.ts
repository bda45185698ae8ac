import { join } from "node:path";
import { arcEasy } from "../data/questions/arc_easy.ts";
import { babi } from "../data/questions/babi.ts";
import { cola } from "../data/questions/cola.ts";
import { lambada } from "../data/questions/lambada.ts";
import type { Question, QuestionSet } from "../data/questions/question.ts";
import { sst2 } from "../data/questions/sst2.ts";
import { parseTable, parseTableTask } from "../data/questions/table.ts";
import { openTextTokenizer } from "../data/tokenizers/open_text_tokenizer.ts";
import { LockstepError } from "../errors.ts";
import { type ChoiceMetric, ChoicesTask } from "./choices.ts";
import { LambadaTask } from "./lambada.ts";
import type { Task } from "./task.ts";

/** Tasks over questions that are published as files. */
export const TEXT_TASKS = [
  "lambada",
  "arc_easy",
  "babi/1",
  "babi/2",
  "babi/5",
  "glue/cola",
  "glue/sst2",
] as const;

export type TextTaskName = typeof TEXT_TASKS[number];

/** Where the questions and the tokenizer are, and how many at a time. */
export interface TextTaskOptions {
  /** Folder of the tasks' files under their public names. */
  readonly task_data: string | null;
  /** Folder of the text that the model was trained on: its tokenizer reads the questions. */
  readonly data_dir: string | null;
  /** At most so many questions, spread evenly over the file. */
  readonly eval_items: number;
  readonly batch_size: number;
  readonly block_size: number;
}

/** Null: the last word is decoded, nothing is chosen. */
const TASKS: Record<TextTaskName, { set: QuestionSet; metrics: readonly ChoiceMetric[] | null }> = {
  lambada: { set: lambada, metrics: null },
  arc_easy: { set: arcEasy, metrics: ["accuracy", "accuracy_norm"] },
  "babi/1": { set: babi(1), metrics: ["accuracy"] },
  "babi/2": { set: babi(2), metrics: ["accuracy"] },
  "babi/5": { set: babi(5), metrics: ["accuracy"] },
  "glue/cola": { set: cola, metrics: ["matthews", "accuracy"] },
  "glue/sst2": { set: sst2, metrics: ["accuracy"] },
};

/** Opens a task over the test part of its questions. Throws E_DATA where files are missing or wrong, E_TASK or E_TOKEN for their text. */
export async function openTextTask(name: TextTaskName, options: TextTaskOptions): Promise<Task> {
  const { set, metrics } = TASKS[name];
  const tokenizer = await openTextTokenizer(options.data_dir);
  const questions = spread(await readQuestions(name, { set, folder: options.task_data }), options.eval_items);
  const { batch_size, block_size } = options;
  return metrics === null
    ? new LambadaTask({ questions, tokenizer, batch_size, block_size })
    : new ChoicesTask({ name, questions, tokenizer, metrics, batch_size, block_size });
}

/** Opens the classification of a file's rows, see {@link parseTableTask}. */
export async function openClassification(name: string, options: TextTaskOptions): Promise<Task> {
  const table = parseTableTask(name.slice(name.indexOf(":") + 1));
  const tokenizer = await openTextTokenizer(options.data_dir);
  const all = parseTable(await readText(table.path, "pass a file that is there"), table);
  const metrics: ChoiceMetric[] = all[0].continuations.length === 2 ? ["accuracy", "matthews"] : ["accuracy"];
  const { batch_size, block_size } = options;
  const questions = spread(all, options.eval_items);
  return new ChoicesTask({ name, questions, tokenizer, metrics, batch_size, block_size });
}

async function readQuestions(
  name: string,
  { set, folder }: { set: QuestionSet; folder: string | null },
): Promise<Question[]> {
  const advice = `fetch ${set.files.test.join(", ")} from ${set.home} and pass --task_data=FOLDER`;
  if (folder === null) {
    throw new LockstepError("E_DATA", `Cannot evaluate ${name} without its questions: ${advice}`);
  }
  const files = set.files.test.map((file) => join(folder, file));
  const parts = await Promise.all(files.map(async (file) => set.parse(await readText(file, advice), file)));
  const questions = parts.flat();
  if (questions.length > 0) return questions;
  throw new LockstepError("E_DATA", `Cannot evaluate ${name} as ${files.join(", ")} holds no questions`);
}

async function readText(path: string, advice: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new LockstepError("E_DATA", `Cannot read ${path} as it must be a readable file: ${advice}`, {
      cause,
    });
  }
}

/** At most `count` of the items, evenly from the first on: files are often sorted. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (count >= items.length) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor(i * items.length / count)]);
}
