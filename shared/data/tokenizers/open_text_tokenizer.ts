import { LockstepError } from "../../errors.ts";
import { readDataMeta } from "../data_meta.ts";
import { openTokenizer } from "./open_tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** GPT-2's tokens are what nanoGPT's own .bin files without a meta.json hold. */
const NANOGPT = { tokenizer: "gpt2", vocab_size: 50_257 } as const;

/**
 * Opens the tokenizer of a prepared text, which its folder's meta.json describes; nothing else is read there. Throws E_DATA
 * where the folder is missing.
 */
export async function openTextTokenizer(dataDir: string | null): Promise<Tokenizer> {
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
