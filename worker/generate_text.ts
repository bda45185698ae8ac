import { generate as generateTokens } from "./generate.ts";
import type { LoadedCheckpoint } from "./loaded_checkpoint.ts";
import { createSampler } from "./sampling.ts";
import { StopFilter } from "./stop_filter.ts";
import type { TextRequest } from "./text_request.ts";

/** One new token and the characters that can be shown with it, often none. */
export interface TextPiece {
  readonly token: number;
  readonly text: string;
}

/**
 * Goes on from a prompt, of which the last `block_size` tokens count, token by token. The text depends on checkpoint,
 * engine and request only. Throws E_USAGE or E_TOKEN for a prompt that cannot be read.
 */
export async function* generateText(
  checkpoint: LoadedCheckpoint,
  request: TextRequest,
): AsyncGenerator<TextPiece> {
  const { block_size, vocab_size: vocabSize } = checkpoint.config;
  const { maxNewTokens, seed, sample: firstSample } = request;
  const prompts = await checkpoint.prompts();
  const prompt = prompts.encode(request.prompt).slice(-block_size);
  const sampler = createSampler(request, { seed, firstSample });
  using lent = await checkpoint.lendDecoder(prompt.length);
  const padded = new Int32Array(lent.length);
  padded.set(prompt);
  const steps = generateTokens(lent.decoder, {
    prompts: padded,
    lengths: Int32Array.of(prompt.length),
    maxNewTokens,
    vocabSize,
    // A model may have more ids than the tokenizer: nothing could show them.
    choose: (logits, at) => sampler(logits.subarray(0, prompts.vocabSize), at),
  });
  const decoder = prompts.decoder();
  const filter = new StopFilter(request.stop);
  let left = maxNewTokens;
  for await (const [token] of steps) {
    let text = filter.push(decoder.push(token));
    if (--left === 0) text += filter.push(decoder.end()) + filter.end();
    yield { token, text };
    if (filter.stopped) return;
  }
}
