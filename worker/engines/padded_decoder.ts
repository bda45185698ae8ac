import type { Decoder, Forward } from "./engine.ts";

/** Generation without a cache: the whole context, padded to block_size, is computed at every token. */
export class PaddedDecoder implements Decoder {
  readonly #history: number[][];

  /** `forward` takes (B, block_size). */
  constructor(
    private readonly forward: Forward,
    private readonly size: { batchSize: number; block_size: number; vocab_size: number },
  ) {
    this.#history = Array.from({ length: size.batchSize }, () => []);
  }

  prefill(prompts: Int32Array, lengths: Int32Array): Promise<Float32Array> {
    const length = prompts.length / this.size.batchSize;
    lengths.forEach((count, row) => {
      this.#history[row] = Array.from(prompts.subarray(row * length, row * length + count));
    });
    return this.#next();
  }

  append(tokens: Int32Array): Promise<Float32Array> {
    tokens.forEach((token, row) => this.#history[row].push(token));
    return this.#next();
  }

  async #next(): Promise<Float32Array> {
    const { batchSize, block_size, vocab_size } = this.size;
    const tokens = new Int32Array(batchSize * block_size);
    this.#history.forEach((history, row) => tokens.set(history.slice(-block_size), row * block_size));
    const logits = await this.forward.logits(tokens);
    const next = new Float32Array(batchSize * vocab_size);
    this.#history.forEach((history, row) => {
      const last = row * block_size + Math.min(history.length, block_size) - 1;
      next.set(logits.subarray(last * vocab_size, (last + 1) * vocab_size), row * vocab_size);
    });
    return next;
  }
}
