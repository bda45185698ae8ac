import { LockstepError } from "../shared/errors.ts";
import { CounterRandom } from "../shared/random.ts";
import { argMax, type Choose } from "./generate.ts";

/** How the next token is drawn from the logits; the steps are taken in this order. */
export interface Sampling {
  /** Divides the logits; 0 always takes the likeliest token. */
  readonly temperature: number;
  /** Keeps the k largest logits, and all that equal the k-th; null keeps all. */
  readonly topK: number | null;
  /** Keeps the fewest likeliest tokens whose probabilities reach this sum, in (0, 1]; one at least. */
  readonly topP: number;
}

/** Which random numbers a row's tokens are drawn with. */
export interface SamplingSeed {
  readonly seed: number;
  /** The sample in row 0; row r is sample `firstSample + r`. */
  readonly firstSample: number;
}

/** Draws tokens: a pure function of the logits and (seed, sample, token index), however samples are put in batches. */
export function createSampler(sampling: Sampling, { seed, firstSample }: SamplingSeed): Choose {
  if (sampling.temperature === 0) return (logits) => argMax(checkedLogits(logits));
  return (logits, { row, index }) => {
    const random = CounterRandom.fromSeed(seed, "sample", firstSample + row);
    return draw(tokenProbabilities(logits, sampling), random.uniform(index));
  };
}

/**
 * The probability of each token (V), 0 for those left out; `temperature` is above 0. Throws E_NON_FINITE for logits
 * that are no numbers.
 *
 * Nucleus (top_p): Holtzman et al. 2020, "The curious case of neural text degeneration".
 */
export function tokenProbabilities(
  logits: Float32Array,
  { temperature, topK, topP }: Sampling,
): Float64Array {
  const best = checkedLogits(logits)[argMax(logits)];
  const least = topK === null ? -Infinity : kthLargest(logits, topK);
  const weights = Float64Array.from(logits, (x) => x < least ? 0 : Math.exp((x - best) / temperature));
  const total = weights.reduce((sum, x) => sum + x, 0);
  const probabilities = weights.map((x) => x / total);
  return topP < 1 ? nucleus(probabilities, topP) : probabilities;
}

/** The token at the point `u` of [0, 1) when probabilities are laid end to end in the order of their ids. */
function draw(probabilities: Float64Array, u: number): number {
  let reached = 0;
  let last = 0;
  for (let id = 0; id < probabilities.length; id++) {
    if (probabilities[id] === 0) continue;
    reached += probabilities[id];
    if (u < reached) return id;
    last = id;
  }
  return last; // rounding left the sum below u
}

/** Keeps the likeliest tokens up to the one whose sum reaches `topP`, of equals the lower id, and scales them to 1. */
function nucleus(probabilities: Float64Array, topP: number): Float64Array {
  const ids = Array.from(probabilities.keys()).filter((id) => probabilities[id] > 0);
  ids.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  let sum = 0;
  let count = 0;
  while (sum < topP && count < ids.length) sum += probabilities[ids[count++]];
  const kept = new Float64Array(probabilities.length);
  for (const id of ids.slice(0, count)) kept[id] = probabilities[id] / sum;
  return kept;
}

function kthLargest(logits: Float32Array, k: number): number {
  return k >= logits.length ? -Infinity : logits.toSorted()[logits.length - k];
}

/** An infinite logit below all others is a token that a model rules out; anything else not finite is a broken model. */
function checkedLogits(logits: Float32Array): Float32Array {
  const best = logits.reduce((most, x) => Math.max(most, x), -Infinity); // NaN stays NaN
  if (Number.isFinite(best)) return logits;
  throw new LockstepError(
    "E_NON_FINITE",
    "Cannot choose a token as the model's logits are not finite: its weights have diverged, take an earlier checkpoint",
  );
}
