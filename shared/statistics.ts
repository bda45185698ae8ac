/** The 97.5 % quantile of N(0, 1): two-sided 95 %. */
export const Z_95 = 1.959963984540054;

/** Bounds of a value. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval (1927) of a share, by default with 95 % coverage; unlike the normal one it holds for small
 * samples and for shares near 0 and 1. `successes` may be fractional; no trials give [0, 1].
 *
 * @example
 * ```ts
 * import { wilsonInterval } from "./statistics.ts";
 *
 * wilsonInterval(997, 1000); // { low: 0.9912…, high: 0.9990… }
 * ```
 */
export function wilsonInterval(successes: number, trials: number, { z = Z_95 } = {}): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const square = z * z;
  const center = (share + square / (2 * trials)) / (1 + square / trials);
  const spread = z / (1 + square / trials) *
    Math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials));
  return { low: Math.max(0, center - spread), high: Math.min(1, center + spread) };
}

/** The normal interval of a mean from its sum and sum of squares, by default with 95 % coverage; n of 1 gives no bounds. */
export function meanInterval(
  { sum, squares }: { sum: number; squares: number },
  n: number,
  { z = Z_95 } = {},
): Interval {
  if (n < 2) return { low: -Infinity, high: Infinity };
  const mean = sum / n;
  const variance = Math.max(0, squares - n * mean * mean) / (n - 1);
  const spread = z * Math.sqrt(variance / n);
  return { low: mean - spread, high: mean + spread };
}

/** A mean over independent runs, with the bounds of Student's t. */
export interface MeanOfRuns extends Interval {
  readonly mean: number;
  readonly n: number;
}

/** The mean of at least one value with its 95 % interval by Student's t, for few of them; one alone gives no bounds. */
export function studentInterval(values: readonly number[]): MeanOfRuns {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, low: -Infinity, high: Infinity, n };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const spread = studentQuantile(n - 1) * Math.sqrt(variance / n);
  return { mean, low: mean - spread, high: mean + spread, n };
}

/** What |t| of Student's distribution with `degrees` of freedom, a whole number, exceeds in one of twenty cases. */
export function studentQuantile(degrees: number): number {
  let [low, high] = [0, Math.PI / 2];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentCoverage(middle, degrees) < 0.95) low = middle;
    else high = middle;
  }
  return Math.sqrt(degrees) * Math.tan(low);
}

/** The chance of |t| < √degrees · tan θ (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4). */
function studentCoverage(theta: number, degrees: number): number {
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? Math.cos(theta) : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= (k - 1) / k * Math.cos(theta) ** 2;
    sum += term;
  }
  return isOdd ? 2 / Math.PI * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
}

/** The chance of exactly `k` successes in `n` trials of probability `p`. */
export function binomialProbability(k: number, { n, p }: { n: number; p: number }): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways *= (n - k + i) / i;
  return ways * p ** k * (1 - p) ** (n - k);
}

/** How often which was chosen where which was wanted: `[wanted][chosen]`. */
export type TwoByTwo = readonly [readonly [number, number], readonly [number, number]];

/**
 * Matthews' correlation of wanted and chosen (1975), 0 where it is not defined because all are of one kind, and its interval
 * from the large-sample variance of the phi coefficient (Bishop, Fienberg, Holland: Discrete Multivariate Analysis, 1975,
 * 11.2), by default with 95 % coverage. No observations give [−1, 1].
 */
export function matthews(
  [[a, b], [c, d]]: TwoByTwo,
  { z = Z_95 } = {},
): Interval & { readonly value: number } {
  const n = a + b + c + d;
  if (n === 0) return { value: 0, low: -1, high: 1 };
  const [wanted, missed] = [(a + b) / n, (c + d) / n];
  const [chosen, left] = [(a + c) / n, (b + d) / n];
  const scale = Math.sqrt(wanted * missed * chosen * left);
  const value = scale === 0 ? 0 : (a * d - b * c) / (n * n * scale);
  const skew = scale === 0 ? 0 : (wanted - missed) * (chosen - left) / scale;
  const spread = scale === 0
    ? 0
    : (wanted - missed) ** 2 / (wanted * missed) + (chosen - left) ** 2 / (chosen * left);
  const square = value * value;
  const variance = (1 - square + value * (1 + square / 2) * skew - 3 / 4 * square * spread) / n;
  const reach = z * Math.sqrt(Math.max(0, variance));
  return { value, low: Math.max(-1, value - reach), high: Math.min(1, value + reach) };
}
