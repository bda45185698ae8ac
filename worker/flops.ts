import type { ModelConfig } from "../shared/config/model_config.ts";
import type { ParameterSpec } from "./model/model.ts";
import { parameterCount } from "./model/model.ts";

/**
 * FLOPs of forward and backward a token, counted as nanoGPT does (PaLM, arXiv:2204.02311, appendix B):
 * 6 a parameter without the position embedding, and 12 · L · C · T for attention.
 */
export function flopsPerToken(config: ModelConfig, specs: readonly ParameterSpec[], length: number): number {
  const positions = config.block_size * config.n_embd;
  return 6 * (parameterCount(specs) - positions) + 12 * config.n_layer * config.n_embd * length;
}
