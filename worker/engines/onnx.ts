import ort from "onnxruntime-node";
import { LockstepError } from "../../shared/errors.ts";
import { sha256 } from "../../shared/hash.ts";
import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { Region } from "../arena.ts";
import type { ProgramKind } from "../compiler/compile.ts";
import { compileOnnx, type OnnxProgram } from "../compiler/compile_cache.ts";
import type { Model } from "../model/load_model.ts";
import { cacheNames, gradientOutput, madeFor, parameterInput } from "../model/programs.ts";
import { DropoutMasks } from "./dropout_masks.ts";
import type {
  BatchShape,
  Decoder,
  DropoutKey,
  Engine,
  EngineMemory,
  EngineOptions,
  Forward,
  Scorer,
  Trainer,
} from "./engine.ts";
import { meanScale, sliceRows } from "./slices.ts";
import { PaddedDecoder } from "./padded_decoder.ts";

type Feeds = Record<string, ort.Tensor>;

const floats = (data: Float32Array, shape: readonly number[]) => new ort.Tensor("float32", data, shape);
const ints = (data: Int32Array, shape: readonly number[]) => new ort.Tensor("int32", data, shape);

/**
 * The default engine: programs compiled to ONNX and run by ONNX Runtime on the CPU. Parameters and gradients are used
 * in place; a step copies neither.
 */
export class OnnxEngine implements Engine {
  readonly name = "onnx";
  readonly device = "cpu";
  readonly #sessions: ort.InferenceSession[] = [];
  readonly #parameters: Feeds;

  constructor(private readonly options: EngineOptions) {
    const { model, memory: { parameters } } = options;
    this.#parameters = Object.fromEntries(model.parameters.map(({ name, shape, offset, size }) => [
      parameterInput(name),
      floats(parameters.view.subarray(offset, offset + size), shape),
    ]));
  }

  async trainer(shape: BatchShape): Promise<Trainer> {
    const rows = sliceRows(shape);
    const { session, program } = await this.#compile("train", { ...shape, batchSize: rows });
    const { model, memory } = this.options;
    const masks = program.sites.length === 0
      ? undefined
      : await DropoutMasks.create(program.sites, model.config.dropout);
    return new OnnxTrainer({ session, program, masks, model, memory, rows, parameters: this.#parameters });
  }

  async scorer(shape: BatchShape): Promise<Scorer> {
    const { session } = await this.#compile("likelihood", shape);
    const size = [shape.batchSize, shape.length];
    return {
      likelihood: async ({ tokens, targets }) => {
        const feeds = { ...this.#parameters, tokens: ints(tokens, size), targets: ints(targets, size) };
        return floatsOf(await run(session, feeds, ["nll"]), "nll");
      },
    };
  }

  async forward(shape: BatchShape): Promise<Forward> {
    const { session } = await this.#compile("forward", shape);
    return {
      logits: async (tokens) => {
        const feeds = { ...this.#parameters, tokens: ints(tokens, [shape.batchSize, shape.length]) };
        return floatsOf(await run(session, feeds, ["logits"]), "logits");
      },
    };
  }

  async decoder(shape: BatchShape): Promise<Decoder> {
    const { model } = this.options;
    if (!model.module.cached) {
      const { block_size, vocab_size } = model.config;
      const forward = await this.forward({ batchSize: shape.batchSize, length: block_size });
      return new PaddedDecoder(forward, { batchSize: shape.batchSize, block_size, vocab_size });
    }
    const prefill = await this.#compile("prefill", shape);
    const decode = await this.#compile("decode", { batchSize: shape.batchSize, length: 1 });
    const window = await this.#compile("prefill", { ...shape, length: model.config.block_size });
    return new OnnxDecoder({
      prefill: prefill.session,
      decode: decode.session,
      window: window.session,
      model,
      shape,
      parameters: this.#parameters,
    });
  }

  async #compile(
    kind: ProgramKind,
    shape: BatchShape,
  ): Promise<{ session: ort.InferenceSession; program: OnnxProgram }> {
    const { model, threads } = this.options;
    const program = await compileOnnx({ kind, model, shape }, threads);
    const session = await ort.InferenceSession.create(program.bytes, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      enableMemPattern: false, // as fast, with a third less memory and without a slow first step
      graphOptimizationLevel: "disabled", // our passes chose the formulation; ONNX Runtime's would fuse it back
      logSeverityLevel: 3,
    });
    this.#sessions.push(session);
    return { session, program };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions.splice(0)) await session.release();
  }
}

/** What `openEngine("onnx", …)` calls. */
export function open(options: EngineOptions): Engine {
  return new OnnxEngine(options);
}

async function run(
  session: ort.InferenceSession,
  feeds: Feeds,
  fetches: readonly string[] | Feeds,
): Promise<ort.InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, Array.isArray(fetches) ? [...fetches] : fetches);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const code = /alloc|memory/i.test(reason) ? "E_MEMORY" : "E_ENGINE";
    throw new LockstepError(code, `The engine onnx could not run a step: ${reason.trim()}`, { cause });
  }
}

function floatsOf(results: ort.InferenceSession.ReturnType, name: string): Float32Array {
  const data = results[name]?.data;
  if (!(data instanceof Float32Array)) {
    throw new LockstepError("E_ENGINE", `The engine onnx returned no floats as ${name}`);
  }
  return data;
}

interface TrainerParts {
  readonly session: ort.InferenceSession;
  readonly program: OnnxProgram;
  readonly masks: DropoutMasks | undefined;
  readonly model: Model;
  readonly memory: EngineMemory;
  readonly rows: number;
  readonly parameters: Feeds;
}

/** Runs a micro-batch slice by slice; the gradients of the slices are added in their order. */
class OnnxTrainer implements Trainer {
  readonly graph: string;
  readonly #loss = new Float32Array(1);
  readonly #scale = new Float32Array(1);
  readonly #fetches = new Map<Region, Feeds>();
  readonly #feeds: Feeds;

  constructor(private readonly parts: TrainerParts) {
    const { parameters, program, masks } = parts;
    this.graph = sha256(program.bytes);
    const masked = program.sites.map((site) => [site.name, floats(masks!.view(site), site.shape)]);
    this.#feeds = { ...parameters, scale: floats(this.#scale, []), ...Object.fromEntries(masked) };
  }

  async gradients(batch: Batch, gradient: Region, key: DropoutKey): Promise<number> {
    const { session, memory, masks, rows } = this.parts;
    const { batchSize, length } = batch;
    this.#scale[0] = meanScale(batch);
    let loss = 0;
    for (let firstRow = 0; firstRow < batchSize; firstRow += rows) {
      masks?.fill(key, { firstRow, rows, batchSize });
      const part = (data: Int32Array) =>
        ints(data.subarray(firstRow * length, (firstRow + rows) * length), [rows, length]);
      const into = firstRow === 0 ? gradient : sliceRegion(memory);
      const feeds = { ...this.#feeds, tokens: part(batch.tokens), targets: part(batch.targets) };
      await run(session, feeds, this.#fetchesInto(into));
      loss += this.#loss[0];
      if (firstRow > 0) {
        memory.kernels.add(gradient.byteOffset, gradient.byteOffset, into.byteOffset, gradient.length);
      }
    }
    return loss;
  }

  /** Output tensors over a region: made once, so that a step allocates no gradient. */
  #fetchesInto(region: Region): Feeds {
    const known = this.#fetches.get(region);
    if (known !== undefined) return known;
    const gradients = this.parts.model.parameters.map(({ name, shape, offset, size }) => [
      gradientOutput(name),
      floats(region.view.subarray(offset, offset + size), shape),
    ]);
    const fetches: Feeds = { loss: floats(this.#loss, []), ...Object.fromEntries(gradients) };
    this.#fetches.set(region, fetches);
    return fetches;
  }
}

function sliceRegion({ slice }: EngineMemory): Region {
  if (slice === null) {
    throw new LockstepError("E_ENGINE", "The engine onnx needs a region for the gradient of a slice");
  }
  return slice;
}

interface DecoderParts {
  readonly prefill: ort.InferenceSession;
  readonly decode: ort.InferenceSession;
  /** Prefill of a whole context: for generation beyond block_size. */
  readonly window: ort.InferenceSession;
  readonly model: Model;
  readonly shape: BatchShape;
  readonly parameters: Feeds;
}

/**
 * Keeps the keys and values of every head at every position; a new token costs one position. When a row is full, the
 * last block_size tokens are read again at each token, as nanoGPT does.
 */
class OnnxDecoder implements Decoder {
  readonly #cache: { name: string; data: Float32Array }[];
  readonly #positions: Int32Array;
  readonly #history: number[][];
  readonly #feeds: Feeds;

  constructor(private readonly parts: DecoderParts) {
    const { model: { config }, shape: { batchSize } } = parts;
    const shape = [config.n_head * batchSize, config.block_size, config.n_embd / config.n_head];
    const size = shape.reduce((a, b) => a * b, 1);
    this.#cache = Array.from({ length: config.n_layer }, (_, layer) => Object.values(cacheNames(layer)))
      .flat().map((name) => ({ name, data: new Float32Array(size) }));
    this.#positions = new Int32Array(batchSize);
    this.#history = Array.from({ length: batchSize }, () => []);
    const cached = this.#cache.map(({ name, data }) => [name, floats(data, shape)]);
    this.#feeds = {
      ...parts.parameters,
      ...Object.fromEntries(cached),
      positions: ints(this.#positions, [batchSize]),
    };
  }

  async prefill(prompts: Int32Array, lengths: Int32Array): Promise<Float32Array> {
    const { shape: { batchSize, length }, prefill, parameters } = this.parts;
    const last = lengths.map((n) => n - 1);
    const feeds = {
      ...parameters,
      tokens: ints(prompts, [batchSize, length]),
      last: ints(last, [batchSize]),
    };
    const results = await run(prefill, feeds, ["logits", ...this.#cache.map(({ name }) => madeFor(name))]);
    this.#store(results, length, () => 0);
    for (let row = 0; row < batchSize; row++) {
      this.#positions[row] = lengths[row];
      this.#history[row] = Array.from(prompts.subarray(row * length, row * length + lengths[row]));
    }
    return floatsOf(results, "logits");
  }

  async append(tokens: Int32Array): Promise<Float32Array> {
    const { shape: { batchSize }, model: { config }, decode } = this.parts;
    tokens.forEach((token, row) => this.#history[row].push(token));
    if (this.#positions.some((position) => position >= config.block_size)) return this.#reread();
    const feeds = { ...this.#feeds, tokens: ints(tokens, [batchSize, 1]) };
    const results = await run(decode, feeds, ["logits", ...this.#cache.map(({ name }) => madeFor(name))]);
    this.#store(results, 1, (row) => this.#positions[row]);
    for (let row = 0; row < batchSize; row++) this.#positions[row]++;
    return floatsOf(results, "logits");
  }

  /** Logits after the last block_size tokens of every row, computed anew. */
  async #reread(): Promise<Float32Array> {
    const { shape: { batchSize }, model: { config: { block_size } }, parameters, window } = this.parts;
    const tokens = new Int32Array(batchSize * block_size);
    const last = new Int32Array(batchSize);
    this.#history.forEach((history, row) => {
      const recent = history.slice(-block_size);
      tokens.set(recent, row * block_size);
      last[row] = recent.length - 1;
      this.#positions[row] = block_size;
    });
    const feeds = {
      ...parameters,
      tokens: ints(tokens, [batchSize, block_size]),
      last: ints(last, [batchSize]),
    };
    return floatsOf(await run(window, feeds, ["logits"]), "logits");
  }

  /** Copies new keys and values (H·B, length, D) into the cache (H·B, S, D), row b from position at(b) on. */
  #store(results: ort.InferenceSession.ReturnType, length: number, at: (row: number) => number): void {
    const { model: { config }, shape: { batchSize } } = this.parts;
    const D = config.n_embd / config.n_head;
    for (const { name, data } of this.#cache) {
      const made = floatsOf(results, madeFor(name));
      for (let i = 0; i < config.n_head * batchSize; i++) {
        const position = i * config.block_size + at(i % batchSize);
        data.set(made.subarray(i * length * D, (i + 1) * length * D), position * D);
      }
    }
  }
}
