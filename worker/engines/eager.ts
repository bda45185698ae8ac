import * as tf from "@tensorflow/tfjs";
import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { Region } from "../arena.ts";
import {
  type DropoutSite,
  forward,
  gradientOutput,
  likelihood,
  parameterInput,
  type Tensors,
  trainStep,
} from "../model/programs.ts";
import { withBackend } from "../model/with_backend.ts";
import { DropoutMasks } from "./dropout_masks.ts";
import type {
  BatchShape,
  Decoder,
  DropoutKey,
  Engine,
  EngineOptions,
  Forward,
  Scorer,
  Trainer,
} from "./engine.ts";
import { outOfMemory } from "./out_of_memory.ts";
import { PaddedDecoder } from "./padded_decoder.ts";
import { meanScale } from "./slices.ts";

/** A TensorFlow.js backend that runs every op at once. */
export interface EagerBackend {
  readonly name: string;
  readonly device: string;
  /** The name under which TensorFlow.js knows it. */
  readonly backend: string;
}

/** How V8, which keeps plain JavaScript's numbers, and native TensorFlow say that memory is short. */
const NO_MEMORY = /Array buffer allocation failed|Invalid (typed )?array length.*|OOM when allocating .*/;

/**
 * Runs the model's TensorFlow.js as it stands, op by op, on one of its backends. Parameters are copied to the backend
 * for each computation, gradients back; no tensor stays behind.
 */
export class EagerEngine implements Engine {
  readonly name: string;
  readonly device: string;

  constructor(private readonly backend: EagerBackend, private readonly options: EngineOptions) {
    tf.enableProdMode(); // or it prints advice to install another backend
    this.name = backend.name;
    this.device = backend.device;
  }

  trainer(_shape: BatchShape): Promise<Trainer> {
    let masks: Promise<DropoutMasks> | undefined;
    return Promise.resolve({
      graph: null,
      gradients: async (batch: Batch, gradient: Region, key: DropoutKey) => {
        if (this.options.model.config.dropout > 0) {
          masks ??= this.#sites(batch).then((sites) =>
            DropoutMasks.create(sites, this.options.model.config.dropout)
          );
        }
        return this.#gradients(batch, gradient, { key, masks: await masks });
      },
    });
  }

  scorer(_shape: BatchShape): Promise<Scorer> {
    const { module, config } = this.options.model;
    const program = likelihood(module, config);
    return Promise.resolve({
      likelihood: async (batch: Batch) =>
        (await this.#run((p) => program({ ...p, ...batchTensors(batch) }))).nll,
    });
  }

  forward({ batchSize, length }: BatchShape): Promise<Forward> {
    const { module, config } = this.options.model;
    const program = forward(module, config);
    return Promise.resolve({
      logits: async (tokens: Int32Array) =>
        (await this.#run((p) => program({ ...p, tokens: tf.tensor2d(tokens, [batchSize, length], "int32") })))
          .logits,
    });
  }

  async decoder({ batchSize }: BatchShape): Promise<Decoder> {
    const { block_size, vocab_size } = this.options.model.config;
    const whole = await this.forward({ batchSize, length: block_size });
    return new PaddedDecoder(whole, { batchSize, block_size, vocab_size });
  }

  async #gradients(
    batch: Batch,
    gradient: Region,
    { key, masks }: { key: DropoutKey; masks: DropoutMasks | undefined },
  ): Promise<number> {
    const { model } = this.options;
    masks?.fill(key, { firstRow: 0, rows: batch.batchSize, batchSize: batch.batchSize });
    const step = trainStep(
      model.module,
      model.config,
      (site) => tf.tensor(masks!.view(site), [...site.shape]),
    );
    const scale = meanScale(batch);
    const results = await this.#run((p) => step({ ...p, ...batchTensors(batch), scale: tf.scalar(scale) }));
    for (const { name, offset } of model.parameters) gradient.view.set(results[gradientOutput(name)], offset);
    return results.loss[0];
  }

  /** Runs the step once to see which masks it asks for. */
  async #sites(batch: Batch): Promise<DropoutSite[]> {
    const sites: DropoutSite[] = [];
    const { module, config } = this.options.model;
    const step = trainStep(module, config, (site) => {
      sites.push(site);
      return tf.ones([...site.shape]);
    });
    await this.#run((p) => step({ ...p, ...batchTensors(batch), scale: tf.scalar(0) }));
    return sites;
  }

  /** Runs a program with the parameters as they are now and reads its results. Throws E_MEMORY where memory is short. */
  async #run(program: (parameters: Tensors) => Tensors): Promise<Record<string, Float32Array>> {
    try {
      return await this.#compute(program);
    } catch (cause) {
      const said = cause instanceof Error ? NO_MEMORY.exec(cause.message) : null;
      throw said === null ? cause : outOfMemory(this.name, { said: said[0], cause });
    }
  }

  async #compute(program: (parameters: Tensors) => Tensors): Promise<Record<string, Float32Array>> {
    const { model, memory: { parameters } } = this.options;
    const computed = () => {
      const tensors = model.parameters.map(({ name, shape, offset, size }) => [
        parameterInput(name),
        tf.tensor(parameters.view.slice(offset, offset + size), [...shape]),
      ]);
      return program(Object.fromEntries(tensors));
    };
    const results = await withBackend(this.backend.backend, () => tidied(computed));
    const read = Object.entries(results).map(async ([name, tensor]) => {
      const data = await tensor.data<"float32">();
      tensor.dispose();
      return [name, data] as const;
    });
    return Object.fromEntries(await Promise.all(read));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * tf.tidy, of which nothing stays behind if it throws: TensorFlow.js disposes of what the way forward keeps for the way back
 * only when it comes that far.
 */
function tidied(work: () => Tensors): Tensors {
  try {
    return tf.tidy(work);
  } catch (error) {
    for (const { saved } of tf.engine().state.activeTape ?? []) saved?.forEach((tensor) => tensor.dispose());
    throw error;
  }
}

function batchTensors({ tokens, targets, batchSize, length }: Batch): Tensors {
  const tensor = (data: Int32Array) => tf.tensor2d(data, [batchSize, length], "int32");
  return { tokens: tensor(tokens), targets: tensor(targets) };
}
