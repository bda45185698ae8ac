/**
 * Hugging Face's GPT-2 on disk: what its config.json says, and how its tensors are called. transformers stores the four
 * linear maps of a block as (in, out), nanoGPT as (out, in).
 */
import { z } from "zod";
import type { ModelConfig } from "./config/model_config.ts";
import { LockstepError } from "./errors.ts";

/** The keys of a model's configuration that decide its weights and what they compute. */
export type ModelKeys = Pick<
  ModelConfig,
  "n_layer" | "n_head" | "n_embd" | "block_size" | "vocab_size" | "bias" | "activation" | "attention"
>;

const count = z.int().min(1);

const schema = z.object({
  model_type: z.literal("gpt2"),
  n_layer: count,
  n_head: count,
  n_embd: count,
  n_positions: count,
  vocab_size: count,
  n_inner: count.nullish(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: z.number().default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
});

type HfConfig = z.infer<typeof schema>;

/** transformers has several names for the tanh approximation. */
const ACTIVATIONS: Readonly<Record<string, ModelConfig["activation"]>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
};

/** What the models here cannot be, and how it is asked for. */
const LIMITS: readonly ((config: HfConfig) => string | null)[] = [
  ({ activation_function }) =>
    activation_function in ACTIVATIONS
      ? null
      : `activation_function must be one of ${
        Object.keys(ACTIVATIONS).join(", ")
      }: it is ${activation_function}`,
  ({ n_inner, n_embd }) =>
    n_inner === null || n_inner === undefined || n_inner === 4 * n_embd
      ? null
      : `n_inner must be 4 · n_embd = ${4 * n_embd}: it is ${n_inner}`,
  ({ layer_norm_epsilon }) =>
    layer_norm_epsilon === 1e-5 ? null : `layer_norm_epsilon must be 1e-5: it is ${layer_norm_epsilon}`,
  (config) => config.scale_attn_weights ? null : "scale_attn_weights must be true: it is false",
  (config) =>
    config.scale_attn_by_inverse_layer_idx
      ? "scale_attn_by_inverse_layer_idx must be false: it is true"
      : null,
  (config) => config.add_cross_attention ? "add_cross_attention must be false: it is true" : null,
  (config) => config.tie_word_embeddings ? null : "tie_word_embeddings must be true: it is false",
];

/** Reads a GPT-2's config.json, parsed. Throws E_WEIGHTS for a model that cannot be computed here, saying why. */
export function readHfConfig(value: unknown, path: string): ModelKeys {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [{ path: field, message }] = parsed.error.issues;
    throw refuse(path, `"${field.join(".")}" is wrong: ${message}`);
  }
  const config = parsed.data;
  for (const limit of LIMITS) {
    const problem = limit(config);
    if (problem !== null) throw refuse(path, problem);
  }
  const { n_layer, n_head, n_embd, n_positions: block_size, vocab_size, activation_function } = config;
  const activation = ACTIVATIONS[activation_function];
  return { n_layer, n_head, n_embd, block_size, vocab_size, bias: true, activation, attention: "causal" };
}

function refuse(path: string, why: string): LockstepError {
  return new LockstepError("E_WEIGHTS", `Cannot take the model of ${path} as ${why}`);
}

/** The config.json with which transformers makes the same model, but for dropout, which computes nothing there. */
export function writeHfConfig(model: ModelKeys, extra: Readonly<Record<string, unknown>> = {}) {
  return {
    activation_function: model.activation === "gelu_tanh" ? "gelu_new" : "gelu",
    architectures: ["GPT2LMHeadModel"],
    attn_pdrop: 0,
    dtype: "float32",
    embd_pdrop: 0,
    layer_norm_epsilon: 1e-5,
    model_type: "gpt2",
    n_embd: model.n_embd,
    n_head: model.n_head,
    n_inner: null,
    n_layer: model.n_layer,
    n_positions: model.block_size,
    resid_pdrop: 0,
    tie_word_embeddings: true,
    use_cache: true,
    vocab_size: model.vocab_size,
    ...extra,
  };
}

const LINEAR = /\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/;

/** Whether transformers stores the parameter of this name transposed. */
export function isTransposed(name: string): boolean {
  return LINEAR.test(name);
}

/**
 * nanoGPT's name of a tensor of a GPT-2 checkpoint: OpenAI's own has names without `transformer.`. Null for causal masks,
 * which are no parameters.
 */
export function parameterNamed(name: string): string | null {
  if (/\.attn\.(masked_)?bias$/.test(name)) return null;
  return /^(h\.\d|wte\.|wpe\.|ln_f\.)/.test(name) ? `transformer.${name}` : name;
}
