import type { StreamDecoder } from "../tokenizers/tokenizer.ts";

/** Which prompt: samples of one seed are counted from 0. */
export interface PromptPlace {
  readonly seed: number;
  readonly sample: number;
}

/** How a person asks a model of a data set to go on, and reads its answer. */
export interface Prompts {
  /** Ids that can be read are below this number; a model may have more. */
  readonly vocabSize: number;
  /** What is usual: how many tokens, and whether the likeliest (0) or drawn ones. */
  readonly usual: { readonly maxNewTokens: number; readonly temperature: number };
  /** The prompt of a sample for which none is given. */
  choose(place: PromptPlace): string;
  /** At least one token. Throws E_TOKEN or E_USAGE, saying what a prompt must be. */
  encode(prompt: string): Int32Array;
  /** What stands between a prompt and its answer when both are shown. */
  readonly arrow: string;
  /** Reads an answer token by token. */
  decoder(): StreamDecoder;
}
