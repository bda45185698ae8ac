/**
 * nanoGPT and every variant of Reflex attention: docs/models.md has the maths, DESIGN's names are used here.
 * Activations are (N, C) rows with N = B·T; heads stand first in attention, (H, N, D), so that joining and
 * mixing heads never moves data.
 */
import * as tf from "@tensorflow/tfjs";
import { embed, gelu, geluTanh, largest, layerNorm, linear, projectHeads } from "./ops.ts";
import type { ModelConfig } from "../../shared/config/model_config.ts";
import type { ModelContext, Parameters, ParameterSpec, ReflexConfig } from "./model.ts";

export const cached = true;

/** Where a contiguous range of heads takes its keys and values from. */
interface HeadGroup {
  readonly first: number;
  readonly count: number;
  /** Blocks back; 0 is the own state, "mixture" the learned combination of the earlier states. */
  readonly back: number | "mixture";
}

/** The head groups of a block, in head order. Heads whose block does not exist look at their own state. */
export function headGroups(config: ModelConfig, layer: number): HeadGroup[] {
  const { n_head, reflex } = config;
  const reflects = reflex !== null && layer > 0 && (reflex.layers === "all" || reflex.layers.includes(layer));
  if (!reflects) return [{ first: 0, count: n_head, back: 0 }];
  const backOf = reflex.combine === "concat"
    ? concatBack(reflex, n_head, layer)
    : mixtureBack(reflex, n_head);
  const groups: HeadGroup[] = [];
  for (let head = 0; head < n_head; head++) {
    const back = backOf(head);
    const last = groups.at(-1);
    if (last?.back === back) groups[groups.length - 1] = { ...last, count: last.count + 1 };
    else groups.push({ first: head, count: 1, back });
  }
  return groups;
}

function concatBack(reflex: ReflexConfig, n_head: number, layer: number): (head: number) => number {
  if (reflex.heads === null) {
    const looking = Math.min(layer, n_head - 1);
    return (head) => Math.max(0, head - (n_head - looking) + 1);
  }
  const [own, previous] = reflex.heads;
  const furthest = reflex.depth === "all" ? layer : Math.min(layer, reflex.depth);
  return (head) => {
    const back = head < own ? 0 : head < own + previous ? 1 : 2;
    return back <= furthest ? back : 0;
  };
}

function mixtureBack({ heads }: ReflexConfig, n_head: number): (head: number) => 0 | "mixture" {
  const own = heads === null ? n_head - 1 : heads[0];
  return (head) => head < own ? 0 : "mixture";
}

/** How many earlier states block `layer` combines. */
function mixtureDepth({ depth }: ReflexConfig, layer: number): number {
  return depth === "all" ? layer : Math.min(depth, layer);
}

const block = (layer: number) => `transformer.h.${layer}`;

/** nanoGPT's parameters by nanoGPT's names, plus those of the variants. */
export function parameters(config: ModelConfig): ParameterSpec[] {
  const { n_layer, n_head, n_embd: C, bias } = config;
  const normal = (name: string, shape: number[], std = 0.02): ParameterSpec => ({
    name,
    shape,
    init: { kind: "normal", std },
  });
  const constant = (name: string, shape: number[], value: number): ParameterSpec => ({
    name,
    shape,
    init: { kind: "constant", value },
  });
  const residual = 0.02 / Math.sqrt(2 * n_layer);
  const withBias = (weight: ParameterSpec): ParameterSpec[] =>
    bias ? [weight, constant(weight.name.replace(/weight$/, "bias"), [weight.shape[0]], 0)] : [weight];
  const norm = (name: string) => withBias(constant(`${name}.weight`, [C], 1));

  const variant = (layer: number): ParameterSpec[] => {
    const attn = `${block(layer)}.attn`;
    if (config.attention === "router" && layer > 0) {
      return ["route_k", "route_v"].map((name) => ({
        name: `${attn}.${name}.weight`,
        shape: [n_head, (layer + 1) * n_head],
        init: { kind: "diagonal", firstColumn: layer * n_head },
      }));
    }
    const { reflex } = config;
    if (reflex === null || !headGroups(config, layer).some((group) => group.back === "mixture")) return [];
    const k = mixtureDepth(reflex, layer);
    const name = reflex.combine === "top_k" ? "route" : "linear_combination";
    return [constant(`${attn}.${name}.weight`, [1, k], 1 / k)];
  };

  const blocks = Array.from({ length: n_layer }, (_, layer) => [
    ...norm(`${block(layer)}.ln_1`),
    ...withBias(normal(`${block(layer)}.attn.c_attn.weight`, [3 * C, C])),
    ...withBias(normal(`${block(layer)}.attn.c_proj.weight`, [C, C], residual)),
    ...variant(layer),
    ...norm(`${block(layer)}.ln_2`),
    ...withBias(normal(`${block(layer)}.mlp.c_fc.weight`, [4 * C, C])),
    ...withBias(normal(`${block(layer)}.mlp.c_proj.weight`, [C, 4 * C], residual)),
  ]);
  return [
    normal("transformer.wte.weight", [config.vocab_size, C]),
    normal("transformer.wpe.weight", [config.block_size, C]),
    ...blocks.flat(),
    ...norm("transformer.ln_f"),
  ];
}

/** Logits (B, T, V) of int32 tokens (B, T). */
export function logits(
  params: Parameters,
  tokens: tf.Tensor2D,
  config: ModelConfig,
  context: ModelContext,
): tf.Tensor3D {
  const [B, T] = tokens.shape;
  const C = config.n_embd;
  const matrix = (name: string) => params[`${name}.weight`] as tf.Tensor2D;
  const optionalBias = (name: string) => params[`${name}.bias`] as tf.Tensor1D | undefined;
  const project = (x: tf.Tensor2D, name: string) => linear(x, matrix(name), optionalBias(name));
  const norm = (x: tf.Tensor2D, name: string) =>
    layerNorm(x, params[`${name}.weight`] as tf.Tensor1D, optionalBias(name));
  const activation = config.activation === "gelu_tanh" ? geluTanh : gelu;
  const projections = headProjections(params, config);

  const wte = matrix("transformer.wte");
  const embedded = embed(wte, tf.reshape(tokens, [B * T]) as tf.Tensor1D); // (N, C)
  const positions = context.positions(matrix("transformer.wpe"), T); // broadcasts to (B, T, C)
  let h = context.dropout(
    tf.reshape(tf.add(tf.reshape(embedded, [B, T, C]), positions), [B * T, C]) as tf.Tensor2D,
  );

  const states: tf.Tensor2D[] = []; // h_0 … h_i, what entered each block
  for (let layer = 0; layer < config.n_layer; layer++) {
    states.push(h);
    const [q, k, v] = projections.queryKeyValue(layer, states, norm);
    const perHead = (x: tf.Tensor3D) => tf.reshape(x, [config.n_head * B, T, -1]) as tf.Tensor3D;
    const attended = context.attention(perHead(q), perHead(k), perHead(v), layer); // (H·B, T, D)
    const joined = tf.transpose(tf.reshape(attended, [config.n_head, B * T, -1]), [1, 0, 2]); // (N, H, D)
    const output = project(tf.reshape(joined, [B * T, C]) as tf.Tensor2D, `${block(layer)}.attn.c_proj`);
    h = tf.add(h, context.dropout(output));
    const hidden = activation(project(norm(h, `${block(layer)}.ln_2`), `${block(layer)}.mlp.c_fc`)); // (N, 4C)
    h = tf.add(h, context.dropout(project(hidden, `${block(layer)}.mlp.c_proj`)));
  }
  const output = tf.matMul(norm(h, "transformer.ln_f"), wte, false, true); // (N, V)
  return tf.reshape(output, [B, T, config.vocab_size]);
}

type Norm = (x: tf.Tensor2D, name: string) => tf.Tensor2D;

/** Queries, keys and values of every block, each projection made once however many blocks look at it. */
function headProjections(params: Parameters, config: ModelConfig) {
  const { n_head, n_embd: C } = config;
  const D = C / n_head;
  const made = new Map<string, tf.Tensor2D | tf.Tensor3D>();
  const once = <X extends tf.Tensor2D | tf.Tensor3D>(key: string, make: () => X): X => {
    if (!made.has(key)) made.set(key, make());
    return made.get(key) as X;
  };

  /** Rows of c_attn's weight and bias: `part` 0 queries, 1 keys, 2 values; heads first … first + count − 1. */
  const head = (layer: number, part: number, first: number, count: number) => {
    const name = `${block(layer)}.attn.c_attn`;
    const [begin, size] = [part * C + first * D, count * D];
    const bias = params[`${name}.bias`];
    return {
      weight: once(
        `weight ${layer} ${part} ${first} ${count}`,
        () => tf.slice(params[`${name}.weight`] as tf.Tensor2D, [begin, 0], [size, C]),
      ),
      bias: bias && tf.slice(bias as tf.Tensor1D, [begin], [size]),
    };
  };

  /** (heads, N, D) of a state x (N, C), already normalised. */
  const heads = (x: tf.Tensor2D, layer: number, part: number, first: number, count: number): tf.Tensor3D => {
    return projectHeads(x, { ...head(layer, part, first, count), heads: count });
  };

  /** Keys or values that block `layer`'s weights make of the state that entered block `from`. */
  const fromState = (
    layer: number,
    from: number,
    part: number,
    group: HeadGroup,
    states: tf.Tensor2D[],
    norm: Norm,
  ) =>
    once(`heads ${layer} ${from} ${part} ${group.first} ${group.count}`, () => {
      const x = once(`state ${layer} ${from}`, () => norm(states[from], `${block(layer)}.ln_1`));
      return heads(x, layer, part, group.first, group.count);
    });

  /** The learned combination m_i of the earlier states: (N, C). */
  const mixture = (reflex: ReflexConfig, layer: number, states: tf.Tensor2D[]): tf.Tensor2D => {
    const k = mixtureDepth(reflex, layer);
    const weights = mixtureWeights(params, { reflex, layer, k });
    const earlier = Array.from({ length: k }, (_, j) => states[layer - 1 - j]);
    return earlier.map((state, j) => tf.mul(state, tf.slice(weights, [0, j], [1, 1])) as tf.Tensor2D)
      .reduce((sum, term) => tf.add(sum, term));
  };

  const keysOrValues = (layer: number, part: number, states: tf.Tensor2D[], norm: Norm): tf.Tensor3D => {
    if (config.attention === "router" && layer > 0) {
      const all = { first: 0, count: n_head, back: 0 };
      const memory = tf.concat(
        Array.from({ length: layer + 1 }, (_, l) => fromState(l, l, part, all, states, norm)),
      ); // ((i+1)·H, N, D)
      const route =
        params[`${block(layer)}.attn.${part === 1 ? "route_k" : "route_v"}.weight`] as tf.Tensor2D;
      const mixed = tf.matMul(route, tf.reshape(memory, [(layer + 1) * n_head, -1]) as tf.Tensor2D); // (H, N·D)
      return tf.reshape(mixed, [n_head, -1, D]);
    }
    const { reflex } = config;
    const groups = headGroups(config, layer).map((group) => {
      if (reflex !== null && group.back === "mixture") {
        const x = once(
          `mixture ${layer}`,
          () => norm(mixture(reflex, layer, states), `${block(layer)}.ln_1`),
        );
        return heads(x, layer, part, group.first, group.count);
      }
      const from = group.back === "mixture" ? layer : layer - group.back;
      return fromState(reflex?.source === "kv" ? from : layer, from, part, group, states, norm);
    });
    return groups.length === 1 ? groups[0] : tf.concat(groups);
  };

  return {
    /** (H, N, D) each. */
    queryKeyValue(layer: number, states: tf.Tensor2D[], norm: Norm): tf.Tensor3D[] {
      const all = { first: 0, count: n_head, back: 0 };
      return [
        fromState(layer, layer, 0, all, states, norm),
        keysOrValues(layer, 1, states, norm),
        keysOrValues(layer, 2, states, norm),
      ];
    },
  };
}

/** w_ij (1, k), nearest state first: the learned weights, or the renormalised best `top_k` of their softmax. */
function mixtureWeights(
  params: Parameters,
  { reflex, layer, k }: { reflex: ReflexConfig; layer: number; k: number },
): tf.Tensor2D {
  const attn = `${block(layer)}.attn`;
  if (reflex.combine === "linear") return params[`${attn}.linear_combination.weight`] as tf.Tensor2D;
  const logits = params[`${attn}.route.weight`] as tf.Tensor2D;
  const scores = tf.softmax(logits) as tf.Tensor2D;
  const chosen = tf.mul(scores, largest(scores, Math.min(reflex.top_k ?? k, k)));
  return tf.div(chosen, tf.sum(chosen, 1, true));
}
