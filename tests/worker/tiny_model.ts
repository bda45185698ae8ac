import type { ModelConfig } from "../../shared/config/model_config.ts";
import { CounterRandom } from "../../shared/random.ts";
import { loadModel, type Model } from "../../worker/model/load_model.ts";

/** nanoGPT with two blocks of 6 channels, 8 tokens of 11. */
export function tinyConfig(changes: Partial<ModelConfig> = {}): ModelConfig {
  return {
    n_layer: 2,
    n_head: 3,
    n_embd: 6,
    block_size: 8,
    vocab_size: 11,
    bias: false,
    dropout: 0,
    activation: "gelu",
    attention: "causal",
    reflex: null,
    ...changes,
  };
}

const reflex = (changes: Partial<NonNullable<ModelConfig["reflex"]>>): ModelConfig =>
  tinyConfig({
    n_layer: 3,
    attention: "reflex",
    reflex: {
      heads: [1, 1, 1],
      depth: 2,
      source: "hidden",
      combine: "concat",
      top_k: null,
      layers: "all",
      ...changes,
    },
  });

/** A tiny model of every attention variant. */
export const VARIANTS: Readonly<Record<string, ModelConfig>> = {
  "causal": tinyConfig(),
  "causal with bias and tanh": tinyConfig({ bias: true, activation: "gelu_tanh" }),
  "reflex of hidden states": reflex({}),
  "reflex of keys and values": reflex({ source: "kv" }),
  "reflex of all layers": reflex({ heads: null, depth: "all" }),
  "reflex in one layer, with bias": { ...reflex({ layers: [2] }), bias: true },
  "reflex of a linear mixture": reflex({ combine: "linear" }),
  "reflex of the top 1": reflex({ combine: "top_k", top_k: 1 }),
  "reflex of the top 2": reflex({ combine: "top_k", top_k: 2, depth: "all" }),
  "router": tinyConfig({ attention: "router" }),
  "router with bias": tinyConfig({ attention: "router", bias: true }),
};

/** The built-in model of a configuration. */
export const tinyModel = (config: ModelConfig): Promise<Model> => loadModel(config, null);

/** Weights as mixed as in a trained model, N(0, 0.5), so that every part of it shows. */
export function fillMixed(parameters: Float32Array, seed = 1): void {
  CounterRandom.fromSeed(seed, "mixed").fillNormal(parameters, { standardDeviation: 0.5 });
}
