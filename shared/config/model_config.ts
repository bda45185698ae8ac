import { usesReflexHeads } from "./checks.ts";
import type { RunConfig } from "./run_config.ts";

/** What a model is built from: nanoGPT's numbers, and Reflex attention's table where `attention` is `reflex`. */
export interface ModelConfig extends
  Pick<
    RunConfig,
    | "n_layer"
    | "n_head"
    | "n_embd"
    | "block_size"
    | "vocab_size"
    | "bias"
    | "dropout"
    | "activation"
    | "attention"
  > {
  readonly reflex: RunConfig["reflex"] | null;
}

/**
 * The model's part of a run's configuration. What decides nothing is null: `reflex` without Reflex attention,
 * `reflex.heads` where each earlier layer has one head, `reflex.top_k` where nothing is chosen.
 */
export function modelConfig(config: RunConfig): ModelConfig {
  const { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout, activation, attention, reflex } =
    config;
  const table = attention !== "reflex" ? null : {
    ...reflex,
    heads: usesReflexHeads(config) ? reflex.heads : null,
    top_k: reflex.combine === "top_k" ? reflex.top_k : null,
  };
  return {
    n_layer,
    n_head,
    n_embd,
    block_size,
    vocab_size,
    bias,
    dropout,
    activation,
    attention,
    reflex: table,
  };
}
