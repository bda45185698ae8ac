import { LockstepError } from "../../errors.ts";
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

/** One item in 16 is held out, by a hash of its prompt: none of them is ever trained on. */
const HELD_OUT = 16;
/** Where one in 16 is held out, this fails once in 10^28 times. */
const MOST_ATTEMPTS = 1_000;

/** Item `index` of a split, a pure function of both and of `random`; items of the other split are drawn again. */
export function itemOf(
  probe: Probe,
  { random, index, isHeldOut }: { random: CounterRandom; index: number; isHeldOut: boolean },
): ProbeItem {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const numbers = random.derive(index, attempt);
    let drawn = 0;
    const item = probe.make((n) => numbers.below(n, drawn++));
    if (belongsToHeldOut(item.prompt) === isHeldOut) return item;
  }
  throw new LockstepError(
    "E_CONFIG",
    "Cannot hold items of the probe out as there are too few different ones: raise probe.length or probe.values",
  );
}

/** Whether a prompt is kept for measuring. */
export function belongsToHeldOut(prompt: Int32Array): boolean {
  let hash = prompt.length;
  for (const id of prompt) hash = mix(hash ^ id);
  return (hash >>> 0) % HELD_OUT === 0;
}

/** The finaliser of MurmurHash3. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) + 0x9e3779b9 | 0;
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
