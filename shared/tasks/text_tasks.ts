import { type QuestionSetName, readQuestionFile, readQuestions } from "../data/questions/read_questions.ts";
import { parseTable, parseTableTask } from "../data/questions/table.ts";
import { openTextTokenizer } from "../data/tokenizers/open_text_tokenizer.ts";
import { type ChoiceMetric, ChoicesTask } from "./choices.ts";
import { LambadaTask } from "./lambada.ts";
import type { Task } from "./task.ts";

/** Null: the last word is decoded, nothing is chosen. */
const METRICS: Readonly<Record<QuestionSetName, readonly ChoiceMetric[] | null>> = {
  lambada: null,
  arc_easy: ["accuracy", "accuracy_norm"],
  "babi/1": ["accuracy"],
  "babi/2": ["accuracy"],
  "babi/5": ["accuracy"],
  "glue/cola": ["matthews", "accuracy"],
  "glue/sst2": ["accuracy"],
};

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

/**
 * Opens a task over the test part of its questions. Throws E_DATA where files are missing or wrong, E_TASK for a character
 * that the tokenizer does not know.
 */
export async function openTextTask(name: QuestionSetName, options: TextTaskOptions): Promise<Task> {
  const metrics = METRICS[name];
  const tokenizer = await openTextTokenizer(options.data_dir);
  const all = await readQuestions(name, { part: "test", folder: options.task_data });
  const questions = spread(all.questions, options.eval_items);
  const { batch_size, block_size } = options;
  return metrics === null
    ? new LambadaTask({ questions, tokenizer, batch_size, block_size })
    : new ChoicesTask({ name, questions, tokenizer, metrics, batch_size, block_size });
}

/** Opens the classification of a file's rows, see {@link parseTableTask}. */
export async function openClassification(name: string, options: TextTaskOptions): Promise<Task> {
  const table = parseTableTask(name.slice(name.indexOf(":") + 1));
  const tokenizer = await openTextTokenizer(options.data_dir);
  const all = parseTable(await readQuestionFile(table.path, "pass a file that is there"), table);
  const metrics: ChoiceMetric[] = all[0].continuations.length === 2 ? ["accuracy", "matthews"] : ["accuracy"];
  const { batch_size, block_size } = options;
  const questions = spread(all, options.eval_items);
  return new ChoicesTask({ name, questions, tokenizer, metrics, batch_size, block_size });
}

/** At most `count` of the items, evenly from the first on: files are often sorted. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (count >= items.length) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor(i * items.length / count)]);
}
