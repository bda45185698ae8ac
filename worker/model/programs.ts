/**
 * The computations a run needs of a model, each a function of named tensors to named tensors: compiling engines
 * trace them, eager ones call them.
 */
import * as tf from "@tensorflow/tfjs";
import { attention, crossEntropy, negativeLogLikelihood } from "./ops.ts";
import type { ModelConfig } from "../../shared/config/model_config.ts";
import type { ModelContext, ModelModule, Parameters } from "./model.ts";

export type Tensors = Record<string, tf.Tensor>;

/** One dropout mask: element (o, b, i) of (outer, B, inner), b counted over the whole micro-batch. */
export interface DropoutSite {
  readonly name: string;
  readonly outer: number;
  readonly inner: number;
  readonly shape: readonly number[];
}

/** Gives the mask of a site: a new input of the graph when tracing, numbers when running. */
export type MaskSource = (site: DropoutSite) => tf.Tensor;

/** Evaluation: no dropout, causal attention, positions from 0. */
export const PLAIN: ModelContext = {
  dropout: (x) => x,
  attention: (q, k, v) => attention(q, k, v),
  positions: (embedding, length) => tf.slice(embedding, [0, 0], [length, -1]),
};

/** Training: like PLAIN, with a new mask at every dropout and in every attention. */
function trainingContext(config: ModelConfig, batchSize: number, masks: MaskSource): ModelContext {
  if (config.dropout === 0) return PLAIN;
  let sites = 0;
  const mask = (outer: number, shape: number[]) => {
    const inner = shape.reduce((a, b) => a * b, 1) / outer / batchSize;
    return masks({ name: `dropout.${sites++}`, outer, inner, shape });
  };
  return {
    ...PLAIN,
    dropout: (x) => tf.mul(x, mask(1, x.shape)),
    attention: (q, k, v) => {
      const length = q.shape[1];
      const drop = mask(config.n_head, [q.shape[0], length, length]) as tf.Tensor3D;
      return attention(q, k, v, { drop });
    },
  };
}

const PARAMETER = "param.";
const GRADIENT = "grad.";

/** The name of a parameter, or of its gradient, among a program's tensors. */
export const parameterInput = (name: string) => PARAMETER + name;
export const gradientOutput = (name: string) => GRADIENT + name;

function parametersOf(args: Tensors): Parameters {
  return Object.fromEntries(
    Object.entries(args).filter(([name]) => name.startsWith(PARAMETER)).map((
      [name, x],
    ) => [name.slice(PARAMETER.length), x]),
  );
}

const flat = (x: tf.Tensor) => tf.reshape(x, [-1]) as tf.Tensor1D;
const rowsOf = (logits: tf.Tensor3D) => tf.reshape(logits, [-1, logits.shape[2]]) as tf.Tensor2D;

/**
 * The training step on a slice of a micro-batch: (param.*, tokens (B, T), targets (B, T), scale ()) → (loss (),
 * grad.*). Both are sums over rows times `scale`, so slices add up to the whole.
 */
export function trainStep(
  model: ModelModule,
  config: ModelConfig,
  masks: MaskSource,
): (args: Tensors) => Tensors {
  return (args) => {
    const params = parametersOf(args);
    const names = Object.keys(params);
    const tokens = args.tokens as tf.Tensor2D;
    const loss = (...values: tf.Tensor[]) => {
      const current = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      const context = trainingContext(config, tokens.shape[0], masks);
      const logits = rowsOf(model.logits(current, tokens, config, context));
      return crossEntropy(logits, flat(args.targets), args.scale as tf.Scalar);
    };
    const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => params[name]));
    return { loss: value, ...Object.fromEntries(names.map((name, i) => [gradientOutput(name), grads[i]])) };
  };
}

/** (param.*, tokens (B, T)) → logits (B, T, V). */
export function forward(model: ModelModule, config: ModelConfig): (args: Tensors) => Tensors {
  return (args) => ({ logits: model.logits(parametersOf(args), args.tokens as tf.Tensor2D, config, PLAIN) });
}

/** (param.*, tokens (B, T), targets (B, T)) → nll (B·T): −log p of each target, 0 where it is −1. */
export function likelihood(model: ModelModule, config: ModelConfig): (args: Tensors) => Tensors {
  return (args) => {
    const logits = model.logits(parametersOf(args), args.tokens as tf.Tensor2D, config, PLAIN);
    return { nll: negativeLogLikelihood(rowsOf(logits), flat(args.targets)) };
  };
}

/** Names of a block's cached keys and values among a program's inputs: (H·B, S, D) each, heads first. */
export const cacheNames = (layer: number) => ({ keys: `keys.${layer}`, values: `values.${layer}` });

/** The output by which a program gives what it has made for a cache: (H·B, T, D). */
export const madeFor = (cacheName: string) => `new.${cacheName}`;

/** (param.*, tokens (B, T), last int32 (B)) → logits (B, V) after position last[b], new.keys.*, new.values.*. */
export function prefill(model: ModelModule, config: ModelConfig): (args: Tensors) => Tensors {
  return (args) => {
    const cache: Tensors = {};
    const context: ModelContext = {
      ...PLAIN,
      attention: (q, k, v, layer) => {
        const names = cacheNames(layer);
        cache[madeFor(names.keys)] = k;
        cache[madeFor(names.values)] = v;
        return attention(q, k, v);
      },
    };
    const tokens = args.tokens as tf.Tensor2D;
    const [batchSize, length] = tokens.shape;
    const logits = rowsOf(model.logits(parametersOf(args), tokens, config, context));
    const first = tf.range(0, batchSize * length, length, "int32");
    return { logits: tf.gather(logits, tf.add(first, args.last) as tf.Tensor1D), ...cache };
  };
}

/**
 * One more token a row: (param.*, tokens (B, 1), positions int32 (B), keys.*, values.* (H·B, S, D)) →
 * logits (B, V) and the token's new.keys.*, new.values.* (H·B, 1, D). Row b attends to its cache rows 0 … positions[b]−1.
 */
export function decode(model: ModelModule, config: ModelConfig): (args: Tensors) => Tensors {
  return (args) => {
    const made: Tensors = {};
    const positions = args.positions as tf.Tensor1D;
    const batchSize = positions.shape[0];
    const context: ModelContext = {
      ...PLAIN,
      positions: (embedding) => tf.expandDims(tf.gather(embedding, positions), 1),
      attention: (q, k, v, layer) => {
        const names = cacheNames(layer);
        made[madeFor(names.keys)] = k;
        made[madeFor(names.values)] = v;
        const [keys, values] = [args[names.keys], args[names.values]] as tf.Tensor3D[];
        const scale = 1 / Math.sqrt(q.shape[2]);
        const past = tf.add(tf.mul(tf.matMul(q, keys, false, true), scale), unseen(positions, keys.shape));
        const own = tf.mul(tf.sum(tf.mul(q, k), -1, true), scale);
        const p = tf.softmax(tf.concat([past, own], 2)) as tf.Tensor3D; // (H·B, 1, S + 1)
        const capacity = keys.shape[1];
        const [toPast, toOwn] = tf.split(p, [capacity, 1], 2);
        return tf.add(tf.matMul(toPast, values), tf.mul(toOwn, v));
      },
    };
    const logits = model.logits(parametersOf(args), args.tokens as tf.Tensor2D, config, context);
    return { logits: tf.reshape(logits, [batchSize, config.vocab_size]), ...made };
  };
}

/** 0 for the cache rows before a row's position, −1e30 for the others: (H·B, 1, S). */
function unseen(positions: tf.Tensor1D, [heads, capacity]: number[]): tf.Tensor3D {
  const batchSize = positions.shape[0];
  const row = tf.reshape(tf.range(0, capacity, 1, "int32"), [1, 1, capacity]);
  const ahead = tf.greaterEqual(row, tf.reshape(positions, [batchSize, 1, 1])); // (B, 1, S)
  const mask = tf.mul(tf.cast(ahead, "float32"), -1e30);
  return tf.tile(mask, [heads / batchSize, 1, 1]) as tf.Tensor3D; // rows are (head, b), b fastest
}
