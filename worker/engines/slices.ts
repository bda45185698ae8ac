import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { BatchShape } from "./engine.ts";

/**
 * Above this many tokens a batch is cut into slices of about as many, whose activations stay in the caches. Measured
 * (docs/performance.md): flat from 800 to 1,600 tokens, slower below, where weights are moved too often, and above.
 */
const WHOLE_TOKENS = 1024;

/** Rows of a slice: the divisor of B whose B·T comes nearest to 1,024 tokens, or B itself for small batches. */
export function sliceRows({ batchSize, length }: BatchShape): number {
  if (batchSize * length <= WHOLE_TOKENS) return batchSize;
  const divisors = Array.from({ length: batchSize }, (_, i) => i + 1).filter((n) => batchSize % n === 0);
  const distance = (n: number) => Math.abs(Math.log(n * length / WHOLE_TOKENS));
  return divisors.reduce((best, n) => distance(n) < distance(best) ? n : best);
}

/** 1 / the number of targets that count; 0 for none. */
export function meanScale({ targets }: Batch): number {
  let count = 0;
  for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) count++;
  return count === 0 ? 0 : 1 / count;
}
