import { LockstepError } from "../../errors.ts";
import { CounterRandom } from "../../random.ts";
import { isHeldOut } from "../held_out.ts";
import type { Split } from "./dataset.ts";

/** With fewer different sequences than this the held-out part could be empty. */
const LEAST_SEQUENCES = 1024;

/** Which problem: `length` numbers below `values`, repeats included. */
export interface SortShape {
  readonly length: number;
  readonly values: number;
}

/**
 * Random sequences of numbers to sort, a pure function of (seed, purpose, split, index). Which split a sequence
 * belongs to is decided by a hash of the numbers themselves, whatever the seed: no held-out sequence is ever trained on.
 */
export class SortSequences {
  readonly #shape: SortShape;
  readonly #random: CounterRandom;
  /** Draws of the n-th try, made when first needed. */
  readonly #tries: CounterRandom[] = [];

  constructor(shape: SortShape, { seed, purpose }: { seed: number; purpose: string }) {
    checkShape(shape);
    this.#shape = shape;
    this.#random = CounterRandom.fromSeed(seed, "sort", purpose);
  }

  /** Writes sequence `index` of a split to the first `length` places of `into`; draws of the other split are drawn again. */
  fill(at: { split: Split; index: number }, into: Int32Array): void {
    const { length, values } = this.#shape;
    for (let attempt = 0;; attempt++) {
      const random = this.#tries[attempt] ??= this.#random.derive(attempt);
      for (let i = 0; i < length; i++) into[i] = random.below(values, at.index * length + i);
      if (isHeldOut(into, length) === (at.split === "val")) return;
    }
  }
}

function checkShape({ length, values }: SortShape): void {
  if (values ** length >= LEAST_SEQUENCES) return;
  throw new LockstepError(
    "E_CONFIG",
    `Cannot hold sequences out of the sort data set as it needs at least ${LEAST_SEQUENCES} different ones: ` +
      `${length} numbers below ${values} make ${values ** length}, raise sort.length or sort.values`,
  );
}
