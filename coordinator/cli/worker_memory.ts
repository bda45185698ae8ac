import type { RunConfig } from "../../shared/config/run_config.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Accumulator } from "../../worker/collective/accumulator.ts";
import { sliceRows } from "../../worker/engines/slices.ts";
import type { Model } from "../../worker/model/load_model.ts";
import { keepsProbabilities } from "../../worker/model/ops.ts";
import { dealShards } from "../plan.ts";

/** What one worker's memory holds, in bytes. */
export interface WorkerMemory {
  /** Parameters, moments and the reduced gradient: one arena. */
  readonly state: number;
  /** Gradients of shards and their sums: another. */
  readonly gradients: number;
  /** What a step keeps for its backward pass on a CPU, estimated. */
  readonly activations: number;
}

export interface WorkerMemoryOptions {
  readonly config: RunConfig;
  /** How many workers share a step. */
  readonly workers: number;
}

const FLOAT_BYTES = 4;
/** Numbers a token, layer and channel that the backward pass of a transformer's block needs (arXiv:2205.05198, table 2). */
const KEPT_A_CHANNEL = 17;
/** Numbers a token, layer, head and position of attention, where it keeps them. */
const KEPT_A_POSITION = 2.5;
/** Logits, their softmax, and their gradient. */
const KEPT_A_TOKEN = 3;

/** What a worker of a run needs; the first of the workers has the most shards. */
export function workerMemory(model: Model, { config, workers }: WorkerMemoryOptions): WorkerMemory {
  const { batch_size, block_size: T, gradient_accumulation_steps: V } = config;
  const { n_layer, n_head, n_embd, vocab_size } = model.config;
  const [shards] = dealShards(V, workers);
  const rows = sliceRows({ batchSize: batch_size, length: T });
  const gradients = Accumulator.bufferCount(new ReductionTree(V), shards) + (rows < batch_size ? 1 : 0) +
    (workers > 1 ? 1 : 0);
  const ofAttention = keepsProbabilities(T) ? KEPT_A_POSITION * n_head * T : 0;
  const ofLayers = n_layer * (KEPT_A_CHANNEL * n_embd + ofAttention);
  return {
    state: FLOAT_BYTES * 4 * model.size,
    gradients: FLOAT_BYTES * gradients * model.size,
    activations: FLOAT_BYTES * rows * T * (ofLayers + KEPT_A_TOKEN * vocab_size),
  };
}
