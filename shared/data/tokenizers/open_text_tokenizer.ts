import { LockstepError } from "../../errors.ts";
import { readDataMeta } from "../data_meta.ts";
import { openTokenizer } from "./open_tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { weightsTokenizer } from "./weights_tokenizer.ts";

/** GPT-2's tokens are what nanoGPT's own .bin files without a meta.json hold. */
const NANOGPT = { tokenizer: "gpt2", vocab_size: 50_257 } as const;

/**
 * Opens the tokenizer that a folder describes: that of a prepared text by its meta.json, that of weights by their config.json.
 * Throws E_DATA where the folder is missing.
 */
export async function openTextTokenizer(dataDir: string | null): Promise<Tokenizer> {
  if (dataDir === null || !await isFolder(dataDir)) {
    throw new LockstepError(
      "E_DATA",
      dataDir === null
        ? "Cannot read text without a tokenizer: pass --data_dir=FOLDER, a text that was prepared with it or weights that " +
          "have one beside them"
        : `Cannot find the tokenizer of the text as its folder ${dataDir} is not there: prepare the text again or pass ` +
          `--data_dir=FOLDER`,
    );
  }
  return await openTokenizer(await readDataMeta(dataDir) ?? await weightsTokenizer(dataDir) ?? NANOGPT);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
