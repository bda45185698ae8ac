import { z } from "zod";
import { about, choice, fraction, modulePath, optional, truth, wholeNumber, wordOr } from "../kinds.ts";

const headCounts = z.tuple([z.int().min(0), z.int().min(0), z.int().min(0)])
  .describe("three whole numbers of at least 0, such as [4,2,2]");

const layerList = z.array(z.int().min(0)).min(1).describe("a list of block indices, such as [1,3]");

/** Keys of the model: nanoGPT's, and the table `reflex` of everything that Reflex attention can vary. */
export const modelKeys = {
  model: optional(modulePath("a module with your own model")).default(null).register(about, {
    help: "Model: on the command line also a model preset's name; none is the built-in GPT",
  }),
  n_layer: wholeNumber(1).default(6).register(about, {
    unit: "blocks",
    help: "Transformer blocks",
    numerics: true,
  }),
  n_head: wholeNumber(1).default(6).register(about, {
    unit: "heads",
    help: "Attention heads of a block; divides n_embd",
    numerics: true,
  }),
  n_embd: wholeNumber(1).default(96).register(about, {
    unit: "channels",
    help: "Width of the hidden state",
    numerics: true,
  }),
  block_size: wholeNumber(1).default(64).register(about, {
    unit: "tokens",
    help: "Longest sequence that the model sees",
    numerics: true,
  }),
  vocab_size: wholeNumber(0, 65_536).default(0).register(about, {
    unit: "tokens",
    help: "Distinct tokens; 0 takes it from the data",
    numerics: true,
  }),
  bias: truth().default(false).register(about, {
    help: "Whether linear maps and layer norms have a bias",
    numerics: true,
  }),
  dropout: fraction().default(0).register(about, {
    help: "Share of activations dropped in training",
    numerics: true,
  }),
  activation: choice(["gelu", "gelu_tanh"]).default("gelu").register(about, {
    help: "GELU by erf (nanoGPT), or by GPT-2's tanh approximation",
    numerics: true,
  }),
  attention: choice(["causal", "reflex", "router"]).default("causal").register(about, {
    help: "Plain attention, heads that look at earlier layers, or a learned mixture of all heads so far",
    numerics: true,
  }),
  reflex: z.strictObject({
    heads: optional(headCounts).default(null).register(about, {
      unit: "heads",
      help: "Heads for the own layer, the one before and the one before that; sum to n_head; " +
        "not used by concat with depth = all",
      numerics: true,
    }),
    depth: wordOr(["all"], wholeNumber(1)).default(2).register(about, {
      unit: "layers",
      help: "How far back heads look; all: one head for each earlier layer",
      numerics: true,
    }),
    source: choice(["hidden", "kv"]).default("hidden").register(about, {
      help: "Project the earlier hidden state anew, or reuse the earlier layer's keys and values",
      numerics: true,
    }),
    combine: choice(["concat", "linear", "top_k"]).default("concat").register(about, {
      help: "Split the heads over earlier layers, or give them one learned sum of all, or of the best top_k",
      numerics: true,
    }),
    top_k: optional(wholeNumber(1)).default(null).register(about, {
      unit: "layers",
      help: "How many earlier layers combine = top_k keeps",
      numerics: true,
    }),
    layers: wordOr(["all"], layerList).default("all").register(about, {
      help: "Blocks that have Reflex attention, counted from 0",
      numerics: true,
    }),
  }).prefault({}),
};
