import { type Batch, createBatch, type Dataset, type Split } from "../shared/data/datasets/dataset.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import type { GenerateRequest, NllRequest, Request } from "../shared/tasks/task.ts";
import type { BatchShape, Decoder, Engine, Scorer } from "./engines/engine.ts";
import { meanScale } from "./engines/slices.ts";
import { argMax, type Choose, generate } from "./generate.ts";
import { createSampler } from "./sampling.ts";

/** Answers what evaluations ask of the model; programs are compiled once a shape. */
export class Evaluator {
  readonly #scorers = new Map<string, Promise<Scorer>>();
  readonly #decoders = new Map<string, Promise<Decoder>>();
  readonly #batch: Batch;

  constructor(
    private readonly engine: Engine,
    private readonly dataset: Dataset,
    private readonly config: RunConfig,
  ) {
    this.#batch = createBatch(config.batch_size, config.block_size);
  }

  /** Mean loss of one random micro-batch of a split, without dropout. */
  async estimate(at: { split: Split; index: number }): Promise<number> {
    this.dataset.sampleBatch(at, this.#batch);
    const nll = await this.#likelihood(this.#batch);
    return nll.reduce((sum, x) => sum + x, 0) * meanScale(this.#batch);
  }

  /** What a task's batch asks for: new ids (B, maxNewTokens), or −log p of each target (B, T). */
  answer(request: Request): Promise<Int32Array | Float32Array> {
    return request.kind === "nll" ? this.#nll(request) : this.#generate(request);
  }

  #nll({ batchSize, length, tokens, targets }: NllRequest): Promise<Float32Array> {
    return this.#likelihood({ batchSize, length, tokens, targets });
  }

  async #likelihood(batch: Batch): Promise<Float32Array> {
    const { batchSize, length } = batch;
    const scorer = await once(this.#scorers, { batchSize, length }, (shape) => this.engine.scorer(shape));
    return await scorer.likelihood(batch);
  }

  async #generate(request: GenerateRequest): Promise<Int32Array> {
    const { batchSize, promptLength, prompts, maxNewTokens } = request;
    const shape = { batchSize, length: promptLength };
    const decoder = await once(this.#decoders, shape, (shape) => this.engine.decoder(shape));
    const output = new Int32Array(batchSize * maxNewTokens);
    const lengths = request.lengths ?? new Int32Array(batchSize).fill(promptLength);
    const vocabSize = this.config.vocab_size;
    let index = 0;
    const choose = chooserOf(request);
    for await (const tokens of generate(decoder, { prompts, lengths, maxNewTokens, vocabSize, choose })) {
      tokens.forEach((token, row) => output[row * maxNewTokens + index] = token);
      index++;
    }
    return output;
  }
}

function chooserOf({ draw }: GenerateRequest): Choose {
  if (draw === undefined) return argMax;
  const sampler = createSampler({ ...draw, topP: 1 }, { seed: draw.seed, firstSample: 0 });
  return (logits, at) => sampler(logits.subarray(0, draw.vocabSize), at);
}

function once<T>(
  known: Map<string, Promise<T>>,
  shape: BatchShape,
  make: (shape: BatchShape) => Promise<T>,
): Promise<T> {
  const key = `${shape.batchSize} ${shape.length}`;
  const made = known.get(key) ?? make(shape);
  known.set(key, made);
  return made;
}
