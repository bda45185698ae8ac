import { LockstepError } from "../../shared/errors.ts";
import type { Match, Sweep } from "./sweep_file.ts";

/** What a variant costs. */
export interface VariantCost {
  readonly parameters: number;
  /** Forward and backward, as nanoGPT counts. */
  readonly flopsPerToken: number;
  readonly tokensPerStep: number;
  readonly maxIters: number;
  /** Whether the variant itself says how many iterations it has. */
  readonly isFixed: boolean;
}

/** FLOPs of all steps together. */
export function trainingFlops({ flopsPerToken, tokensPerStep, maxIters }: VariantCost): number {
  return flopsPerToken * tokensPerStep * maxIters;
}

const MEASURES: Record<Match, { readonly unit: string; of(cost: VariantCost): number }> = {
  parameters: { unit: "parameters", of: ({ parameters }) => parameters },
  flops: { unit: "FLOPs", of: trainingFlops },
};

/**
 * How many iterations variants get so that they match the baseline, or the first of them where there is none; without an
 * entry, those that they say. FLOPs are matched by the iterations, of variants that do not say how many. Throws E_CONFIG,
 * naming the first, where one is off by more than the tolerance then.
 */
export function matchVariants(
  { name: sweep, variants, baseline, match, matchTolerance }: Sweep,
  costs: ReadonlyMap<string, VariantCost>,
): Map<string, number> {
  const iters = new Map<string, number>();
  const standard = baseline ?? variants[0].name;
  const wanted = costs.get(standard);
  if (match === null || wanted === undefined) return iters;
  const { unit, of } = MEASURES[match];
  for (const [name, given] of costs) {
    const perStep = given.flopsPerToken * given.tokensPerStep;
    const maxIters = match === "flops" && !given.isFixed
      ? Math.max(1, Math.round(trainingFlops(wanted) / perStep))
      : given.maxIters;
    if (maxIters !== given.maxIters) iters.set(name, maxIters);
    const excess = of({ ...given, maxIters }) / of(wanted) - 1;
    if (Math.abs(excess) <= matchTolerance) continue;
    throw new LockstepError(
      "E_CONFIG",
      `Cannot run the sweep ${sweep} as match = "${match}" allows ${
        percent(matchTolerance)
      } (match_tolerance): ${name} ` +
        `has ${of(given).toLocaleString("en-US")} ${unit}, ${percent(Math.abs(excess))} ` +
        `${excess > 0 ? "more" : "fewer"} than ${standard}; change its size, or leave match out`,
    );
  }
  return iters;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
