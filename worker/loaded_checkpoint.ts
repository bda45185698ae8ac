import type { RunConfig } from "../shared/config/run_config.ts";
import type { Prompts } from "../shared/data/prompts/prompts.ts";
import { LockstepError } from "../shared/errors.ts";
import type { BatchShape, Decoder, Engine, Forward } from "./engines/engine.ts";
import type { Model } from "./model/load_model.ts";

/** A parameter as PyTorch stores it: row major. */
export interface LoadedParameter {
  readonly shape: readonly number[];
  /** In place: who writes here changes the model. */
  readonly data: Float32Array;
}

/** What a {@link LoadedCheckpoint} is made of. */
export interface LoadedParts {
  readonly step: number;
  readonly valLoss: number | null;
  readonly warnings: readonly string[];
  readonly config: RunConfig;
  readonly model: Model;
  readonly engine: Engine;
  /** Flat, in the model's order. */
  readonly parameters: Float32Array;
}

/** A decoder for the length of a prompt, on loan. */
export interface LentDecoder extends Disposable {
  readonly decoder: Decoder;
  /** P, at least the prompt's length. */
  readonly length: number;
}

/** A checkpoint with an engine to compute with. `await using` releases the engine. */
export class LoadedCheckpoint implements AsyncDisposable {
  /** Steps taken. */
  readonly step: number;
  /** Validation loss at that step in nats; null where it was not measured. */
  readonly valLoss: number | null;
  /** A sentence for each checkpoint that was passed over, and why. */
  readonly warnings: readonly string[];
  /** The run's configuration. */
  readonly config: RunConfig;
  /** By name, in the model's order. */
  readonly parameters: ReadonlyMap<string, LoadedParameter>;
  readonly #engine: Engine;
  readonly #forwards = new Map<string, Promise<Forward>>();
  readonly #idle = new Map<number, Decoder[]>();
  readonly #openPrompts: () => Promise<Prompts>;
  #prompts: Promise<Prompts> | undefined;

  /** For `loadCheckpoint`. */
  constructor(parts: LoadedParts, openPrompts: () => Promise<Prompts>) {
    const { step, valLoss, warnings, config, model, engine, parameters } = parts;
    this.step = step;
    this.valLoss = valLoss;
    this.warnings = warnings;
    this.config = config;
    this.parameters = new Map(
      model.parameters.map(({ name, shape, offset, size }) => [
        name,
        { shape, data: parameters.subarray(offset, offset + size) },
      ]),
    );
    this.#engine = engine;
    this.#openPrompts = openPrompts;
  }

  /** The name of the engine that computes. */
  get engine(): string {
    return this.#engine.name;
  }

  /**
   * Logits (B, T, V), flat, of the tokens (B, T), flat; B is `batchSize`, default 1. Each shape is compiled once.
   * Throws E_USAGE unless T is from 1 to block_size, E_TOKEN for a token that is no id.
   */
  async logits(
    tokens: ArrayLike<number>,
    { batchSize = 1 }: { batchSize?: number } = {},
  ): Promise<Float32Array> {
    const { block_size, vocab_size } = this.config;
    const length = tokens.length / batchSize;
    if (!Number.isInteger(length) || length < 1 || length > block_size) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot compute logits as ${batchSize} sequences of 1 to ${block_size} tokens each are required: ` +
          `${tokens.length} tokens were given`,
      );
    }
    checkTokens(tokens, vocab_size);
    return await (await this.#forward({ batchSize, length })).logits(Int32Array.from(tokens));
  }

  /** How prompts are read. Throws E_DATA or E_TOKEN where the text's tokenizer is missing or another one. */
  prompts(): Promise<Prompts> {
    return this.#prompts ??= this.#openPrompts();
  }

  /** A decoder of one row for a prompt of `length` tokens; nobody else has it until it is given back. */
  async lendDecoder(promptLength: number): Promise<LentDecoder> {
    const length = decoderLength(promptLength, this.config.block_size);
    const idle = this.#idle.get(length) ?? [];
    this.#idle.set(length, idle);
    const decoder = idle.pop() ?? await this.#engine.decoder({ batchSize: 1, length });
    return { decoder, length, [Symbol.dispose]: () => void idle.push(decoder) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
  }

  #forward(shape: BatchShape): Promise<Forward> {
    const key = `${shape.batchSize} ${shape.length}`;
    const made = this.#forwards.get(key) ?? this.#engine.forward(shape);
    this.#forwards.set(key, made);
    return made;
  }
}

/** Few different lengths, so that few programs are compiled: powers of two from 16 on, at most the block. */
function decoderLength(promptLength: number, blockSize: number): number {
  return Math.min(blockSize, Math.max(16, 2 ** Math.ceil(Math.log2(promptLength))));
}

function checkTokens(tokens: ArrayLike<number>, vocabSize: number): void {
  const wrong = Array.from(tokens).find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (wrong === undefined) return;
  throw new LockstepError(
    "E_TOKEN",
    `Cannot compute logits as token ids are whole numbers from 0 to ${vocabSize - 1}: ${wrong} was given`,
  );
}
