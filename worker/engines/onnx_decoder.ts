import type { Model } from "../model/load_model.ts";
import { cacheNames, madeFor } from "../model/programs.ts";
import type { BatchShape, Decoder } from "./engine.ts";
import type { OnnxRun, OnnxSession, TensorViews } from "./onnxruntime.ts";

/** A program and the parameters that it takes. */
export interface Compiled {
  readonly session: OnnxSession;
  readonly parameters: TensorViews;
}

export interface DecoderParts {
  /** Reads prompts of the shape below. */
  readonly prefill: Compiled;
  /** One token a row. */
  readonly decode: Compiled;
  /** Compiles what reads a whole context, for generation beyond block_size. */
  window(): Promise<Compiled>;
  readonly model: Model;
  readonly shape: BatchShape;
}

/** A program with the memory that it reads and writes. */
interface Reader {
  readonly run: OnnxRun;
  readonly tokens: Int32Array<ArrayBuffer>;
  /** Index of each row's last token, or its position. */
  readonly at: Int32Array<ArrayBuffer>;
  /** What it makes for each part of the cache, in their order: (H·B, T, D). */
  readonly made: readonly Float32Array<ArrayBuffer>[];
}

/**
 * Keeps the keys and values of every head at every position; a new token costs one position. When a row is full, the
 * last block_size tokens are read again at each token, as nanoGPT does.
 */
export class OnnxDecoder implements Decoder, Disposable {
  readonly #owned = new DisposableStack();
  /** Keys and values of every block: (H·B, block_size, D). */
  readonly #cache: readonly { name: string; data: Float32Array<ArrayBuffer> }[];
  readonly #logits: Float32Array<ArrayBuffer>;
  readonly #history: number[][];
  readonly #prefill: Reader;
  readonly #decode: Reader;
  #window: Promise<Reader> | undefined;

  constructor(private readonly parts: DecoderParts) {
    const { model: { config }, shape: { batchSize, length }, prefill, decode } = parts;
    const cacheShape = this.#heads(config.block_size);
    this.#cache = Array.from({ length: config.n_layer }, (_, layer) => Object.values(cacheNames(layer)))
      .flat().map((name) => ({ name, data: new Float32Array(sizeOf(cacheShape)) }));
    this.#logits = new Float32Array(batchSize * config.vocab_size);
    this.#history = Array.from({ length: batchSize }, () => []);
    const cached = Object.fromEntries(
      this.#cache.map(({ name, data }) => [name, { data, shape: cacheShape }]),
    );
    this.#prefill = this.#reader(prefill, { length, at: "last", cached: {} });
    this.#decode = this.#reader(decode, { length: 1, at: "positions", cached });
  }

  async prefill(prompts: Int32Array, lengths: Int32Array): Promise<Float32Array> {
    const { length } = this.parts.shape;
    this.#prefill.tokens.set(prompts);
    lengths.forEach((count, row) => {
      this.#prefill.at[row] = count - 1;
      this.#decode.at[row] = count;
      this.#history[row] = Array.from(prompts.subarray(row * length, row * length + count));
    });
    await this.#prefill.run.run();
    this.#store(this.#prefill, { length, at: () => 0 });
    return this.#logits.slice();
  }

  async append(tokens: Int32Array): Promise<Float32Array> {
    const { block_size } = this.parts.model.config;
    const { at: positions } = this.#decode;
    tokens.forEach((token, row) => this.#history[row].push(token));
    if (positions.some((position) => position >= block_size)) return this.#reread();
    this.#decode.tokens.set(tokens);
    await this.#decode.run.run();
    this.#store(this.#decode, { length: 1, at: (row) => positions[row] });
    positions.forEach((position, row) => positions[row] = position + 1);
    return this.#logits.slice();
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  /** Logits after the last block_size tokens of every row, computed anew. */
  async #reread(): Promise<Float32Array> {
    const { block_size } = this.parts.model.config;
    this.#window ??= this.parts.window().then((compiled) =>
      this.#reader(compiled, { length: block_size, at: "last", cached: {} })
    );
    const { tokens, at, run } = await this.#window;
    this.#history.forEach((history, row) => {
      const recent = history.slice(-block_size);
      tokens.set(recent, row * block_size);
      at[row] = recent.length - 1;
      this.#decode.at[row] = block_size;
    });
    await run.run();
    return this.#logits.slice();
  }

  #reader(
    { session, parameters }: Compiled,
    { length, at: atName, cached }: { length: number; at: "last" | "positions"; cached: TensorViews },
  ): Reader {
    const { shape: { batchSize }, model: { config } } = this.parts;
    const tokens = new Int32Array(batchSize * length);
    const at = new Int32Array(batchSize);
    const shape = this.#heads(length);
    const made = this.#cache.map(() => new Float32Array(sizeOf(shape)));
    const inputs = {
      ...parameters,
      ...cached,
      tokens: { data: tokens, shape: [batchSize, length] },
      [atName]: { data: at, shape: [batchSize] },
    };
    const outputs = {
      logits: { data: this.#logits, shape: [batchSize, config.vocab_size] },
      ...Object.fromEntries(this.#cache.map(({ name }, i) => [madeFor(name), { data: made[i], shape }])),
    };
    return { run: this.#owned.use(session.bind(inputs, outputs)), tokens, at, made };
  }

  /** (H·B, length, D) */
  #heads(length: number): number[] {
    const { model: { config: { n_head, n_embd } }, shape: { batchSize } } = this.parts;
    return [n_head * batchSize, length, n_embd / n_head];
  }

  /** Copies what was made into the cache, row b from position at(b) on. */
  #store({ made }: Reader, { length, at }: { length: number; at: (row: number) => number }): void {
    const { model: { config }, shape: { batchSize } } = this.parts;
    const [heads, , D] = this.#heads(length);
    this.#cache.forEach(({ data }, part) => {
      for (let i = 0; i < heads; i++) {
        const rows = made[part].subarray(i * length * D, (i + 1) * length * D);
        data.set(rows, (i * config.block_size + at(i % batchSize)) * D);
      }
    });
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
