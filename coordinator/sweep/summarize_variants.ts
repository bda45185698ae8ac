import type { SweepResults } from "./compare_variants.ts";
import type { RunResult } from "./run_result.ts";

/** What a variant's runs were, on average. */
export interface VariantSummary {
  readonly variant: string;
  readonly finished: number;
  /** Ended by their budget. */
  readonly stopped: number;
  /** Without a result so far. */
  readonly missing: number;
  readonly parameters: number;
  /** Steps, FLOPs and hours of a run. */
  readonly steps: number;
  readonly flops: number;
  readonly hours: number;
}

/** A summary of each variant that has a result. */
export function summarizeVariants({ sweep: { variants, seeds }, results }: SweepResults): VariantSummary[] {
  return variants.flatMap(({ name }) => {
    const own = results.filter(({ variant }) => variant === name);
    if (own.length === 0) return [];
    const mean = (of: (result: RunResult) => number) =>
      own.reduce((sum, result) => sum + of(result), 0) / own.length;
    const finished = own.filter(({ status }) => status === "finished").length;
    return [{
      variant: name,
      finished,
      stopped: own.length - finished,
      missing: seeds.length - own.length,
      parameters: mean(({ parameters }) => parameters),
      steps: mean(({ steps }) => steps),
      flops: mean(({ flops_per_token, tokens }) => flops_per_token * tokens),
      hours: mean(({ seconds }) => seconds / 3_600),
    }];
  });
}
