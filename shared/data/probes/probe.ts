import { LockstepError } from "../../errors.ts";
import { isHeldOut } from "../held_out.ts";
import type { CounterRandom } from "../../random.ts";

/** The sizes of a probe: what each of them counts is told where it is made. */
export interface ProbeShape {
  readonly length: number;
  readonly values: number;
}

/** A question and its answer, in token ids. */
export interface ProbeItem {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
  /** A wrong answer that a model is tempted by, as long as the right one; null where there is none. */
  readonly rival: Int32Array | null;
  /** What kind of item it is, for figures apart, such as how far away its answer stood. */
  readonly group: string;
}

/** Numbers in [0, n), one after the other. */
export type Draw = (n: number) => number;

/**
 * Questions that are made from random numbers and that a small model can learn to answer. All prompts have one length, and
 * all answers; ids are below `vocabSize`.
 */
export interface Probe {
  readonly vocabSize: number;
  readonly promptLength: number;
  readonly answerLength: number;
  /** The share of answers that guessing gets right. */
  readonly chance: number;
  make(draw: Draw): ProbeItem;
}

/** Where one in 16 is held out, this fails once in 10^28 times. */
const MOST_ATTEMPTS = 1_000;

/** Item `index` of a split, a pure function of both and of `random`; items of the other split are drawn again. */
export function itemOf(
  probe: Probe,
  { random, index, isHeldOut: wanted }: { random: CounterRandom; index: number; isHeldOut: boolean },
): ProbeItem {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const numbers = random.derive(index, attempt);
    let drawn = 0;
    const item = probe.make((n) => numbers.below(n, drawn++));
    if (isHeldOut(item.prompt, item.prompt.length) === wanted) return item;
  }
  throw new LockstepError(
    "E_CONFIG",
    "Cannot hold items of the probe out as there are too few different ones: raise probe.length or probe.values",
  );
}

/** `count` different numbers below `n`, in random order. */
export function drawDistinct(draw: Draw, { count, n }: { count: number; n: number }): number[] {
  const moved = new Map<number, number>(); // the places of a list 0 … n − 1 that differ from it
  return Array.from({ length: count }, (_, i) => {
    const at = i + draw(n - i);
    const chosen = moved.get(at) ?? at;
    moved.set(at, moved.get(i) ?? i);
    return chosen;
  });
}

/** Which quarter of `length` places a distance is, for curves over the context: "1/4" is the nearest. */
export function quarter(distance: number, length: number): string {
  return `${Math.min(4, Math.floor(4 * distance / length) + 1)}/4`;
}
