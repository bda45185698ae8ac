import type { RunConfig } from "../../shared/config/run_config.ts";
import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { ReductionTree } from "../../shared/reduction_tree.ts";
import type { StepScalars } from "../../shared/schedule.ts";
import type { Region } from "../arena.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Model } from "../model/load_model.ts";
import type { AdamWOptions } from "../optimizer/adamw.ts";

/** The size of a batch: B sequences of T tokens. */
export interface BatchShape {
  readonly batchSize: number;
  readonly length: number;
}

/** What makes the dropout masks of one micro-batch: the same on any engine and any worker. */
export interface DropoutKey {
  readonly seed: number;
  readonly step: number;
  readonly shard: number;
}

/** A micro-batch, and what makes its masks. */
export interface Shard {
  readonly batch: Batch;
  readonly key: DropoutKey;
}

/** The virtual shards below a node of the reduction tree. */
export interface Subtree {
  readonly tree: ReductionTree;
  readonly node: number;
  /** The micro-batch of a shard, which stays as it is until the next one is asked for. */
  shard(shard: number): Shard;
  /** Asked before each shard: true ends the work. */
  isAborted(): boolean;
}

/** Computes the gradients of micro-batches of one shape. */
export interface Trainer {
  /** SHA-256 of the compiled step; null for an engine that runs it op by op. */
  readonly graph: string | null;
  /**
   * The mean loss in nats over the targets that are not −1, and its gradient, written to `gradient` in the order of
   * the parameters (flat, float32). A batch without targets has the loss 0 and the gradient 0.
   */
  gradients(batch: Batch, gradient: Region, key: DropoutKey): Promise<number>;
  /**
   * Computes the shards of a subtree in ascending order, adds their gradients along the tree where they were computed, and
   * writes the sum to `gradient`: exactly the bits that {@link gradients} and the kernel `add` give. Resolves to the shards'
   * losses, or to null once it is aborted, when `gradient` is as it was. Left out, sums are made in the arena.
   */
  sumSubtree?(subtree: Subtree, gradient: Region): Promise<number[] | null>;
}

/** Computes the likelihood of given tokens, without dropout. */
export interface Scorer {
  /** −log p of each target in nats, 0 where it is −1: (B·T). */
  likelihood(batch: Batch): Promise<Float32Array>;
}

/** Computes logits, without dropout. */
export interface Forward {
  /** Logits (B, T, V) of tokens (B, T). */
  logits(tokens: Int32Array): Promise<Float32Array>;
}

/** Generates token by token with a key/value cache. */
export interface Decoder {
  /** Fills the cache with prompts (B, P), of which row b counts lengths[b] tokens; logits (B, V) of what comes next. */
  prefill(prompts: Int32Array, lengths: Int32Array): Promise<Float32Array>;
  /** Appends one token a row; logits (B, V) of what comes next. */
  append(tokens: Int32Array): Promise<Float32Array>;
}

/**
 * Parameters and moments that live on an engine's device, where they are updated. The arena's are copies, which
 * {@link download} brings up to date and {@link invalidate} declares to be the newer ones.
 */
export interface ResidentState extends Disposable {
  /** The arena's state was written: it is uploaded before the device computes with it. */
  invalidate(): void;
  /** Applies the reduced gradient, which lies in the arena, multiplied with `clipScale`, as AdamW.apply does. */
  apply(scalars: StepScalars, clipScale: number): Promise<void>;
  /** What AdamW.stateHash gives for the same numbers. */
  hash(): Promise<string>;
  /** Writes the newest state to the arena. */
  download(): Promise<void>;
}

/** The numbers an engine works on, all in one arena. */
export interface EngineMemory {
  readonly kernels: Kernels;
  /** The master parameters, flat, in the model's order. */
  readonly parameters: Region;
  /** As long as the parameters where {@link sliceRows} says that batches are cut, otherwise null. */
  readonly slice: Region | null;
  /** Another number once the parameters have changed; without it, they may change at any time. */
  version?(): number;
  /** The parameters on the device of an engine of this kind: they count, and not the arena's. */
  readonly resident?: ResidentState;
}

/** Where an engine computes. */
export type Device = "cpu" | "cuda" | "webgpu";

export interface EngineOptions {
  readonly model: Model;
  readonly memory: EngineMemory;
  /** Where to compute, for an engine that can do so in several places; left out, it takes what there is. */
  readonly device?: Device;
  /** What matrix products multiply; they add in float32, as does everything else. Left out, float32. */
  readonly dtype?: RunConfig["dtype"];
  /** Threads of one computation: part of a run's numerics. */
  readonly threads: number;
  /** How the names of profiles begin that are written when the engine is closed; onnx alone writes some. */
  readonly profile?: string;
}

/** Something that computes a model: one contract suite runs over all (tests/worker/engines/contract.ts). */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly device: string;
  trainer(shape: BatchShape): Promise<Trainer>;
  scorer(shape: BatchShape): Promise<Scorer>;
  forward(shape: BatchShape): Promise<Forward>;
  /** Keeps the state on the device from now on; without it, parameters are read in the arena. */
  resident?(options: AdamWOptions): Promise<ResidentState>;
  /** For prompts of up to `length` tokens. */
  decoder(shape: BatchShape): Promise<Decoder>;
}
