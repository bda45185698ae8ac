import { LockstepError } from "../../errors.ts";
import { ByteTokenizer } from "./byte_tokenizer.ts";
import { CharTokenizer } from "./char_tokenizer.ts";
import type { Tokenizer, TokenizerMeta, TokenizerName } from "./tokenizer.ts";

const OPEN: Record<TokenizerName, (meta: TokenizerMeta) => Tokenizer | Promise<Tokenizer>> = {
  char: (meta) => new CharTokenizer(meta.chars ?? ""),
  byte: () => new ByteTokenizer(),
  gpt2: openGpt2,
};

/** A module whose package is fetched when it is first used: Deno fetches at start what `import` names literally. */
const GPT2 = new URL("./gpt2_tokenizer.ts", import.meta.url).href;

async function openGpt2(): Promise<Tokenizer> {
  const { Gpt2Tokenizer }: typeof import("./gpt2_tokenizer.ts") = await import(GPT2);
  return new Gpt2Tokenizer();
}

/** Builds the tokenizer that `meta` describes. Throws E_TOKEN if its size is not the one that `meta` says. */
export async function openTokenizer(meta: TokenizerMeta): Promise<Tokenizer> {
  const tokenizer = await OPEN[meta.tokenizer](meta);
  if (tokenizer.vocabSize === meta.vocab_size) return tokenizer;
  throw new LockstepError(
    "E_TOKEN",
    `Cannot open the ${meta.tokenizer} tokenizer as vocab_size must be ${tokenizer.vocabSize}: ` +
      `meta.json says ${meta.vocab_size}`,
  );
}
