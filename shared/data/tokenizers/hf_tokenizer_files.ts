import { BYTE_LETTERS } from "./byte_letters.ts";
import type { TokenizerMeta, TokenizerName } from "./tokenizer.ts";

/** Texts by the names of their files. */
export type TokenizerFiles = Readonly<Record<string, string>>;

/** A module whose package is fetched when it is first used: Deno fetches at start what `import` names literally. */
const VOCABULARY = new URL("./gpt2_vocabulary.ts", import.meta.url).href;

const FILES: Record<TokenizerName, (meta: TokenizerMeta) => TokenizerFiles | Promise<TokenizerFiles>> = {
  char: ({ chars = "" }) =>
    files({
      model: { type: "WordLevel", vocab: idsOf([...chars]), unk_token: "" },
      pre_tokenizer: { type: "Split", pattern: { Regex: "[\\s\\S]" }, behavior: "Isolated", invert: false },
      decoder: { type: "Fuse" },
    }),
  byte: () => files(bytePairs(BYTE_LETTERS, [], { splitsWords: false })),
  gpt2: openGpt2,
};

/**
 * The files by which transformers' AutoTokenizer makes the same tokenizer: tokenizer.json, its configuration, and for
 * GPT-2 the vocab.json and merges.txt that older programs read.
 */
export async function hfTokenizerFiles(meta: TokenizerMeta): Promise<TokenizerFiles> {
  return await FILES[meta.tokenizer](meta);
}

async function openGpt2(): Promise<TokenizerFiles> {
  const { gpt2Vocabulary }: typeof import("./gpt2_vocabulary.ts") = await import(VOCABULARY);
  const { tokens, merges } = gpt2Vocabulary();
  const end = tokens[tokens.length - 1];
  const mark = { content: end, single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    ...files(
      { ...bytePairs(tokens, merges, { splitsWords: true }) },
      { marks: [{ id: tokens.length - 1, ...mark, special: true }], configuration: { eos_token: end } },
    ),
    "vocab.json": JSON.stringify(idsOf(tokens)),
    "merges.txt": `#version: 0.2\n${merges.join("\n")}\n`,
  };
}

function bytePairs(
  tokens: readonly string[],
  merges: readonly string[],
  { splitsWords }: { splitsWords: boolean },
) {
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  return {
    model: { type: "BPE", vocab: idsOf(tokens), merges: merges.map((pair) => pair.split(" ")) },
    pre_tokenizer: { ...bytes, use_regex: splitsWords },
    decoder: { ...bytes, use_regex: true },
  };
}

function files(
  parts: Readonly<Record<string, unknown>>,
  { marks = [], configuration = {} }: {
    marks?: readonly unknown[];
    configuration?: Readonly<Record<string, unknown>>;
  } = {},
): TokenizerFiles {
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: marks,
    normalizer: null,
    post_processor: null,
    ...parts,
  };
  const settings = { tokenizer_class: "PreTrainedTokenizerFast", clean_up_tokenization_spaces: false };
  return {
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify({ ...settings, ...configuration }, null, 2) + "\n",
  };
}

function idsOf(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}
