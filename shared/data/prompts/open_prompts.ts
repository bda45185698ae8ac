import { LockstepError } from "../../errors.ts";
import type { DatasetOptions } from "../datasets/open_dataset.ts";
import { openTextTokenizer } from "../tokenizers/open_text_tokenizer.ts";
import { isProbe } from "../probes/open_probe.ts";
import { ProbePrompts } from "./probe_prompts.ts";
import type { Prompts } from "./prompts.ts";
import { SortPrompts } from "./sort_prompts.ts";
import { TextPrompts } from "./text_prompts.ts";

/** The part of a run's configuration that says how its prompts are read. */
export type PromptOptions = Pick<DatasetOptions, "dataset" | "sort" | "probe" | "data_dir"> & {
  /** Of the model. */
  readonly vocab_size: number;
};

/**
 * Opens the prompts of a run. A text's tokenizer is described in `data_dir`, where nothing else is read. Throws E_DATA
 * where the folder is missing, E_TOKEN where its tokens are not those of the model.
 */
export async function openPrompts(options: PromptOptions): Promise<Prompts> {
  if (options.dataset === "sort") return new SortPrompts(options.sort);
  if (isProbe(options.dataset)) return new ProbePrompts(options.dataset, options.probe);
  const tokenizer = await openTextTokenizer(options.data_dir);
  if (tokenizer.vocabSize <= options.vocab_size) return new TextPrompts(tokenizer);
  throw new LockstepError(
    "E_TOKEN",
    `Cannot use the tokenizer of ${options.data_dir} as the model has ${options.vocab_size} token ids: it has ` +
      `${tokenizer.vocabSize}, pass the --data_dir that the model was trained with`,
  );
}
