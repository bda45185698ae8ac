import type * as tf from "@tensorflow/tfjs";
import type { ModelConfig } from "../../shared/config/model_config.ts";

/** How the heads of a Reflex block are split: docs/models.md. */
export type ReflexConfig = NonNullable<ModelConfig["reflex"]>;

/** A parameter, its shape as PyTorch stores it, and how it starts. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init:
    | { readonly kind: "normal"; readonly std: number }
    | { readonly kind: "constant"; readonly value: number }
    /** Zero but for a 1 at [row, firstColumn + row]: the router's start at plain attention. */
    | { readonly kind: "diagonal"; readonly firstColumn: number };
}

export type Parameters = Readonly<Record<string, tf.Tensor>>;

/** What the surroundings decide for a model: training, plain evaluation, or decoding with a cache. */
export interface ModelContext {
  /** Multiplies by a mask of 0 and 1/(1−p), another one at each call; the identity outside training. */
  dropout<T extends tf.Tensor>(x: T): T;
  /** Attention of block `layer` for q, k, v (heads · B, T, D), heads first. */
  attention(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, layer: number): tf.Tensor3D;
  /** Rows of the position embedding (block_size, C) for the B · T tokens: a tensor that broadcasts to (B, T, C). */
  positions(embedding: tf.Tensor2D, length: number): tf.Tensor;
}

/** What `--model=./my_model.ts` exports; `worker/model/gpt.ts` is one. */
export interface ModelModule {
  /** The parameters in the order in which they are stored. */
  parameters(config: ModelConfig): ParameterSpec[];
  /** Logits (B, T, V) of int32 tokens (B, T). */
  logits(params: Parameters, tokens: tf.Tensor2D, config: ModelConfig, context: ModelContext): tf.Tensor3D;
  /** True if `logits` goes through `context.attention` and `context.positions`, so that decoding can use a cache. */
  readonly cached?: boolean;
}

/** The number of elements of a parameter. */
export function parameterSize(spec: ParameterSpec): number {
  return spec.shape.reduce((product, size) => product * size, 1);
}

/** The number of elements of all parameters: the length of the flat arrays in the arena. */
export function parameterCount(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, spec) => sum + parameterSize(spec), 0);
}
