import type { Need } from "./needs.ts";
import type { Scenario } from "./scenario.ts";

/** One of the faults that a run must survive. */
export interface ChaosCase {
  readonly number: number;
  readonly name: string;
  /** What it cannot be run without. */
  readonly needs?: readonly Need[];
  /** The configuration of its run. */
  readonly words: readonly string[];
  /** Steps take so long at least until the case lets them go, in ms. */
  readonly paceMs: number;
  /**
   * Does it. At its end the run must have finished. Throws CaseFailed where something is not as it must be; that the weights are
   * those of an undisturbed run, that the ledger proves it and that nothing is left is looked at afterwards.
   */
  run(scenario: Scenario): Promise<void>;
}
