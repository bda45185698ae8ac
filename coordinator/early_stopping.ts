/** When a run ends before `max_iters`, as transformers' EarlyStoppingCallback decides it. */
export interface EarlyStoppingRule {
  /** It ends once so many evaluations in a row did not improve. */
  readonly patience: number;
  /** An evaluation improves if its loss is lower than the lowest before by more than this, in nats. */
  readonly threshold: number;
}

/** What the evaluations so far say. */
export interface EarlyStoppingState {
  /** The one with the lowest loss, of equal ones the first; null before the first evaluation. */
  readonly best: { readonly step: number; readonly loss: number } | null;
  /** Evaluations since the last one that improved. */
  readonly waited: number;
  readonly stops: boolean;
}

/**
 * Judges a run by its validation losses by step, whatever their order. The weights that it started with, step 0, have no
 * checkpoint to go back to and do not count.
 */
export function earlyStopping(
  losses: ReadonlyMap<number, number>,
  { patience, threshold }: EarlyStoppingRule,
): EarlyStoppingState {
  let best: EarlyStoppingState["best"] = null;
  let waited = 0;
  for (const [step, loss] of [...losses].sort(([a], [b]) => a - b)) {
    if (step === 0) continue;
    waited = best === null || best.loss - loss > threshold ? 0 : waited + 1;
    if (best === null || loss < best.loss) best = { step, loss };
  }
  return { best, waited, stops: waited >= patience };
}
