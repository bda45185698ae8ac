import type { Decoder } from "./engines/engine.ts";

/** Picks the next token of a row from its logits (V). */
export type Choose = (logits: Float32Array, at: { row: number; index: number }) => number;

export interface GenerateOptions {
  /** (B, P), int32, of which row b counts lengths[b] tokens. */
  readonly prompts: Int32Array;
  readonly lengths: Int32Array;
  readonly maxNewTokens: number;
  readonly vocabSize: number;
  readonly choose: Choose;
}

/** Yields one new token a row, `maxNewTokens` times: (B), reused. */
export async function* generate(decoder: Decoder, options: GenerateOptions): AsyncGenerator<Int32Array> {
  const { prompts, lengths, maxNewTokens, vocabSize, choose } = options;
  const tokens = new Int32Array(lengths.length);
  let logits = await decoder.prefill(prompts, lengths);
  for (let index = 0; index < maxNewTokens; index++) {
    if (index > 0) logits = await decoder.append(tokens);
    for (let row = 0; row < tokens.length; row++) {
      tokens[row] = choose(logits.subarray(row * vocabSize, (row + 1) * vocabSize), { row, index });
    }
    yield tokens;
  }
}

/** The token with the largest logit; of equal ones the first. */
export function argMax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
