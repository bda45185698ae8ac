import type { Batch } from "../../shared/data/datasets/dataset.ts";
import { LockstepError } from "../../shared/errors.ts";
import { sha256 } from "../../shared/hash.ts";
import type { Region } from "../arena.ts";
import type { ProgramKind } from "../compiler/compile.ts";
import { compileOnnx, type OnnxProgram } from "../compiler/compile_cache.ts";
import type { Model } from "../model/load_model.ts";
import { gradientOutput, parameterInput } from "../model/programs.ts";
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
import { parseRows } from "../compiler/passes/view_parameters.ts";
import { type Compiled, OnnxDecoder } from "./onnx_decoder.ts";
import { type OnnxRun, OnnxSession, type TensorViews } from "./onnxruntime.ts";
import { PaddedDecoder } from "./padded_decoder.ts";
import { meanScale, sliceRows } from "./slices.ts";

/**
 * The default engine: programs compiled to ONNX and run by ONNX Runtime on the CPU. Parameters and gradients are used
 * in place; a step copies neither.
 */
export class OnnxEngine implements Engine {
  readonly name = "onnx";
  readonly device = "cpu";
  readonly #owned = new DisposableStack();

  constructor(private readonly options: EngineOptions) {}

  async trainer(shape: BatchShape): Promise<Trainer> {
    const rows = sliceRows(shape);
    const { session, program } = await this.#compile("train", { ...shape, batchSize: rows });
    const { model, memory } = this.options;
    const masks = program.sites.length === 0
      ? null
      : await DropoutMasks.create(program.sites, model.config.dropout);
    const slice = { batchSize: rows, length: shape.length };
    return this.#owned.use(new OnnxTrainer({ session, program, masks, model, memory, slice }));
  }

  async scorer({ batchSize, length }: BatchShape): Promise<Scorer> {
    const { session, parameters } = await this.#compile("likelihood", { batchSize, length });
    const shape = [batchSize, length];
    const [tokens, targets] = [new Int32Array(batchSize * length), new Int32Array(batchSize * length)];
    const nll = new Float32Array(batchSize * length);
    const inputs = {
      ...parameters,
      tokens: { data: tokens, shape },
      targets: { data: targets, shape },
    };
    const run = this.#owned.use(session.bind(inputs, { nll: { data: nll, shape: [nll.length] } }));
    return {
      async likelihood(batch) {
        tokens.set(batch.tokens);
        targets.set(batch.targets);
        await run.run();
        return nll.slice();
      },
    };
  }

  async forward({ batchSize, length }: BatchShape): Promise<Forward> {
    const { session, parameters } = await this.#compile("forward", { batchSize, length });
    const vocabulary = this.options.model.config.vocab_size;
    const input = new Int32Array(batchSize * length);
    const logits = new Float32Array(batchSize * length * vocabulary);
    const run = this.#owned.use(session.bind(
      { ...parameters, tokens: { data: input, shape: [batchSize, length] } },
      { logits: { data: logits, shape: [batchSize, length, vocabulary] } },
    ));
    return {
      async logits(tokens) {
        input.set(tokens);
        await run.run();
        return logits.slice();
      },
    };
  }

  async decoder(shape: BatchShape): Promise<Decoder> {
    const { model } = this.options;
    const { block_size, vocab_size } = model.config;
    if (!model.module.cached) {
      const forward = await this.forward({ batchSize: shape.batchSize, length: block_size });
      return new PaddedDecoder(forward, { batchSize: shape.batchSize, block_size, vocab_size });
    }
    const prefill = await this.#compile("prefill", shape);
    const decode = await this.#compile("decode", { batchSize: shape.batchSize, length: 1 });
    return this.#owned.use(
      new OnnxDecoder({
        prefill,
        decode,
        window: () => this.#compile("prefill", { ...shape, length: block_size }),
        model,
        shape,
      }),
    );
  }

  async #compile(kind: ProgramKind, shape: BatchShape): Promise<Compiled & { program: OnnxProgram }> {
    const { model, threads, memory, profile } = this.options;
    const program = await compileOnnx({ kind, model, shape }, threads);
    const session = this.#owned.use(new OnnxSession(program.bytes, { threads, profile }));
    const parameters = flatViews(program.inputs, { model, flat: memory.parameters, nameOf: parameterInput });
    return { session, program, parameters };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#owned.dispose();
    return Promise.resolve();
  }
}

/** What `openEngine("onnx", …)` calls. */
export function open(options: EngineOptions): Engine {
  return new OnnxEngine(options);
}

interface TrainerParts {
  readonly session: OnnxSession;
  readonly program: OnnxProgram;
  readonly masks: DropoutMasks | null;
  readonly model: Model;
  readonly memory: EngineMemory;
  /** What is computed at once. */
  readonly slice: BatchShape;
}

/** Runs a micro-batch slice by slice; the gradients of the slices are added in their order. */
class OnnxTrainer implements Trainer, Disposable {
  readonly graph: string;
  readonly #loss = new Float32Array(1);
  readonly #scale = new Float32Array(1);
  readonly #tokens: Int32Array<ArrayBuffer>;
  readonly #targets: Int32Array<ArrayBuffer>;
  readonly #inputs: TensorViews;
  /** By the region that receives the gradient. */
  readonly #runs = new Map<Region, OnnxRun>();

  constructor(private readonly parts: TrainerParts) {
    const { model, memory, program, masks, slice: { batchSize, length } } = parts;
    this.graph = sha256(program.bytes);
    this.#tokens = new Int32Array(batchSize * length);
    this.#targets = new Int32Array(batchSize * length);
    const masked = masks === null
      ? []
      : program.sites.map((site) => [site.name, { data: masks.view(site), shape: site.shape }]);
    this.#inputs = {
      ...flatViews(program.inputs, { model, flat: memory.parameters, nameOf: parameterInput }),
      ...Object.fromEntries(masked),
      tokens: { data: this.#tokens, shape: [batchSize, length] },
      targets: { data: this.#targets, shape: [batchSize, length] },
      scale: { data: this.#scale, shape: [] },
    };
  }

  async gradients(batch: Batch, gradient: Region, key: DropoutKey): Promise<number> {
    const { memory, masks, slice: { batchSize: rows, length } } = this.parts;
    const { batchSize } = batch;
    this.#scale[0] = meanScale(batch);
    let loss = 0;
    for (let firstRow = 0; firstRow < batchSize; firstRow += rows) {
      masks?.fill(key, { firstRow, rows, batchSize });
      const [begin, end] = [firstRow * length, (firstRow + rows) * length];
      this.#tokens.set(batch.tokens.subarray(begin, end));
      this.#targets.set(batch.targets.subarray(begin, end));
      const into = firstRow === 0 ? gradient : sliceRegion(memory);
      await this.#runInto(into).run();
      loss += this.#loss[0];
      if (firstRow > 0) {
        memory.kernels.add(gradient.byteOffset, gradient.byteOffset, into.byteOffset, gradient.length);
      }
    }
    return loss;
  }

  /** The step with its gradient in a region: tied once, so that a step allocates nothing. */
  #runInto(region: Region): OnnxRun {
    const known = this.#runs.get(region);
    if (known !== undefined) return known;
    const { model, session, program } = this.parts;
    const gradients = flatViews(program.outputs, { model, flat: region, nameOf: gradientOutput });
    const run = session.bind(this.#inputs, { loss: { data: this.#loss, shape: [] }, ...gradients });
    this.#runs.set(region, run);
    return run;
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.values()) run[Symbol.dispose]();
  }
}

/** Views of flat numbers for those of `names` that mean a parameter, or rows of one. */
function flatViews(
  names: readonly string[],
  { model, flat, nameOf }: { model: Model; flat: Region; nameOf: (parameter: string) => string },
): TensorViews {
  const parameters = new Map(model.parameters.map((parameter) => [nameOf(parameter.name), parameter]));
  const views = names.flatMap((input) => {
    const { name, rows } = parameters.has(input) ? { name: input, rows: null } : parseRows(input);
    const parameter = parameters.get(name);
    if (parameter === undefined) return [];
    const { shape, offset, size } = parameter;
    if (rows === null) return [[input, { data: flat.view.subarray(offset, offset + size), shape }]];
    const row = size / shape[0];
    const data = flat.view.subarray(offset + rows.begin * row, offset + rows.end * row);
    return [[input, { data, shape: shape.with(0, rows.end - rows.begin) }]];
  });
  return Object.fromEntries(views);
}

function sliceRegion({ slice }: EngineMemory): Region {
  if (slice === null) {
    throw new LockstepError("E_ENGINE", "The engine onnx needs a region for the gradient of a slice");
  }
  return slice;
}
