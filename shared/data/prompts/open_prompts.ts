import { LockstepError } from "../../errors.ts";
import { readDataMeta } from "../data_meta.ts";
import type { DatasetOptions } from "../datasets/open_dataset.ts";
import { openTokenizer } from "../tokenizers/open_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
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

/** GPT-2's tokens are what nanoGPT's own .bin files without a meta.json hold. */
const NANOGPT = { tokenizer: "gpt2", vocab_size: 50_257 } as const;

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

async function openTextTokenizer(dataDir: string | null): Promise<Tokenizer> {
  if (dataDir === null || !await isFolder(dataDir)) {
    throw new LockstepError(
      "E_DATA",
      `Cannot find the tokenizer of the text as its folder ${
        dataDir ?? "data_dir"
      } is not there: prepare the text ` +
        `again or pass --data_dir=FOLDER`,
    );
  }
  return await openTokenizer(await readDataMeta(dataDir) ?? NANOGPT);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
