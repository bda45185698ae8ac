import { join } from "node:path";
import { z } from "zod";
import { type TokenizerMeta, TOKENIZERS } from "./tokenizer.ts";

/** The tokenizer in the part `lockstep` of the config.json that `export` writes. */
export const tokenizerSchema = z.object({
  tokenizer: z.enum(TOKENIZERS),
  vocab_size: z.int().min(1),
  chars: z.string().optional(),
});

const GPT2: TokenizerMeta = { tokenizer: "gpt2", vocab_size: 50_257 };

const schema = z.object({
  vocab_size: z.int(),
  lockstep: z.object({ tokenizer: tokenizerSchema.optional() }).optional(),
});

/** The tokenizer that the config.json of weights in `folder` describes; null where nothing there says so. */
export async function weightsTokenizer(folder: string): Promise<TokenizerMeta | null> {
  const text = await readIfThere(join(folder, "config.json"));
  const parsed = schema.safeParse(text === null ? null : JSON.parse(text));
  if (!parsed.success) return null;
  const { vocab_size, lockstep } = parsed.data;
  return lockstep === undefined ? await gpt2TokenizerOf(folder, vocab_size) : lockstep.tokenizer ?? null;
}

/** GPT-2's tokenizer where the weights in `folder` are of its size, and no vocab.json there says otherwise. */
export async function gpt2TokenizerOf(folder: string, vocabSize: number): Promise<TokenizerMeta | null> {
  return vocabSize >= GPT2.vocab_size && await hasGpt2Vocabulary(folder) ? GPT2 : null;
}

/** A module whose package is fetched when it is first used: Deno fetches at start what `import` names literally. */
const VOCABULARY = new URL("./gpt2_vocabulary.ts", import.meta.url).href;

async function hasGpt2Vocabulary(folder: string): Promise<boolean> {
  const text = await readIfThere(join(folder, "vocab.json"));
  if (text === null) return true;
  const { gpt2Vocabulary }: typeof import("./gpt2_vocabulary.ts") = await import(VOCABULARY);
  const ids = new Map<string, unknown>(Object.entries(JSON.parse(text)));
  return gpt2Vocabulary().tokens.every((token, id) => ids.get(token) === id);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
