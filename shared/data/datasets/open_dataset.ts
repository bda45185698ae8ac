import { LockstepError } from "../../errors.ts";
import { isProbe, type ProbeName } from "../probes/open_probe.ts";
import type { Dataset } from "./dataset.ts";
import {
  QUESTION_DATASETS,
  type QuestionDatasetName,
  QuestionsDataset,
  type QuestionsOptions,
} from "./questions_dataset.ts";
import { ProbeDataset, type ProbeOptions } from "./probe_dataset.ts";
import { SortDataset, type SortOptions } from "./sort_dataset.ts";
import { TextDataset, type TextOptions } from "./text_dataset.ts";

/** The part of a run's configuration that says which data set it is. */
export type DatasetOptions =
  & { readonly dataset: "sort" | "text" | ProbeName | QuestionDatasetName }
  & SortOptions
  & ProbeOptions
  & Omit<TextOptions, "data_dir">
  & QuestionsOptions
  & { readonly data_dir: string | null };

/** Whether a data set is made from the seed alone, and reads no file. */
export function isGenerated(dataset: DatasetOptions["dataset"]): boolean {
  return dataset === "sort" || isProbe(dataset);
}

/** The collection of questions that a data set is; undefined for another one. */
export function questionsOf(dataset: DatasetOptions["dataset"]): QuestionDatasetName | undefined {
  return QUESTION_DATASETS.find((name) => name === dataset);
}

/** Opens a run's data set. Text must be prepared: `data_dir` names its folder. Close it after use. */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  if (options.dataset === "sort") return new SortDataset(options);
  if (isProbe(options.dataset)) return new ProbeDataset(options.dataset, options);
  const questions = questionsOf(options.dataset);
  if (questions !== undefined) return await QuestionsDataset.open(questions, options);
  const { data_dir } = options;
  if (data_dir === null) {
    throw new LockstepError(
      "E_DATA",
      "Cannot open a text data set without a folder: pass --data_dir=FOLDER, or --data=PATH to prepare one",
    );
  }
  return await TextDataset.open({ ...options, data_dir });
}
