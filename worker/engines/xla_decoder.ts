import type { Model } from "../model/load_model.ts";
import { cacheNames } from "../model/programs.ts";
import type { BatchShape, Decoder } from "./engine.ts";
import type { PjrtBuffer } from "./pjrt.ts";
import type { XlaInputs, XlaProgram } from "./xla_program.ts";

export interface XlaDecoderParts {
  /** Reads prompts of the shape below. */
  readonly prefill: XlaProgram;
  /** One token a row. */
  readonly decode: XlaProgram;
  /** Compiles what reads a whole context, for generation beyond block_size. */
  window(): Promise<XlaProgram>;
  /** The flat parameters as they are now. */
  parameters(): XlaInputs;
  readonly model: Model;
  readonly shape: BatchShape;
}

/**
 * Keeps the keys and values of every head at every position on the device; a new token costs one position. When a row is
 * full, the last block_size tokens are read again at each token, as nanoGPT does.
 */
export class XlaDecoder implements Decoder, Disposable {
  readonly #names: readonly string[];
  #cache: Record<string, PjrtBuffer> = {};
  #history: number[][] = [];
  #positions: number[] = [];
  #window: Promise<XlaProgram> | undefined;

  constructor(private readonly parts: XlaDecoderParts) {
    const layers = Array.from({ length: parts.model.config.n_layer }, (_, layer) => cacheNames(layer));
    this.#names = layers.flatMap(({ keys, values }) => [keys, values]);
  }

  prefill(prompts: Int32Array, lengths: Int32Array): Promise<Float32Array> {
    const { length } = this.parts.shape;
    this.#positions = Array.from(lengths);
    this.#history = this.#positions.map((count, row) =>
      Array.from(prompts.subarray(row * length, row * length + count))
    );
    const last = Int32Array.from(lengths, (count) => count - 1);
    return this.#run(this.parts.prefill, { tokens: new Int32Array(prompts), last });
  }

  async append(tokens: Int32Array): Promise<Float32Array> {
    const { block_size } = this.parts.model.config;
    tokens.forEach((token, row) => this.#history[row].push(token));
    if (this.#positions.some((position) => position >= block_size)) return await this.#reread();
    const positions = Int32Array.from(this.#positions);
    this.#positions = this.#positions.map((position) => position + 1);
    return await this.#run(this.parts.decode, { ...this.#cache, tokens: new Int32Array(tokens), positions });
  }

  [Symbol.dispose](): void {
    this.#keep({});
  }

  /** Logits after the last block_size tokens of every row, computed anew. */
  async #reread(): Promise<Float32Array> {
    const { model: { config: { block_size } }, shape: { batchSize }, window } = this.parts;
    this.#window ??= window();
    const tokens = new Int32Array(batchSize * block_size);
    const last = new Int32Array(batchSize);
    this.#history.forEach((history, row) => {
      const recent = history.slice(-block_size);
      tokens.set(recent, row * block_size);
      last[row] = recent.length - 1;
    });
    this.#positions = this.#positions.map(() => block_size);
    return await this.#run(await this.#window, { tokens, last });
  }

  /** Runs a program, reads its logits and keeps the cache that it makes. */
  async #run(program: XlaProgram, inputs: XlaInputs): Promise<Float32Array> {
    const { model: { config: { vocab_size } }, shape: { batchSize }, parameters } = this.parts;
    const outputs = await program.run({ ...parameters(), ...inputs });
    this.#keep(Object.fromEntries(this.#names.map((name) => [name, outputs[name]])));
    using logits = outputs.logits;
    return await logits.read(new Float32Array(batchSize * vocab_size));
  }

  /** Takes the place of the former cache, whose memory may have become this one's. */
  #keep(cache: Record<string, PjrtBuffer>): void {
    for (const buffer of Object.values(this.#cache)) buffer[Symbol.dispose]();
    this.#cache = cache;
  }
}
