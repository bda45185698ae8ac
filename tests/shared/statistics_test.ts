import assert from "node:assert/strict";
import fc from "fast-check";
import {
  binomialProbability,
  matthews,
  meanInterval,
  studentInterval,
  studentQuantile,
  type TwoByTwo,
  wilsonInterval,
} from "../../shared/statistics.ts";
import { CounterRandom } from "../../shared/random.ts";

function close(actual: number, expected: number, tolerance = 5e-5): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3 (Wilson).
const NEWCOMBE = [
  { successes: 81, trials: 263, low: 0.2553, high: 0.3662 },
  { successes: 15, trials: 148, low: 0.0624, high: 0.1605 },
  { successes: 0, trials: 20, low: 0, high: 0.1611 },
  { successes: 1, trials: 29, low: 0.0061, high: 0.1718 },
];

Deno.test("wilsonInterval() gives Newcombe's published values", () => {
  for (const { successes, trials, low, high } of NEWCOMBE) {
    const interval = wilsonInterval(successes, trials);
    close(interval.low, low);
    close(interval.high, high);
  }
});

Deno.test("wilsonInterval() holds the share, stays in [0, 1] and mirrors", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (n, part) => {
        const successes = Math.round(part * n);
        const { low, high } = wilsonInterval(successes, n);
        assert.ok(0 <= low && low <= successes / n + 1e-12 && successes / n - 1e-12 <= high && high <= 1);
        const mirrored = wilsonInterval(n - successes, n);
        close(mirrored.low, 1 - high, 1e-12);
        close(mirrored.high, 1 - low, 1e-12);
      },
    ),
  );
  assert.deepEqual(wilsonInterval(0, 0), { low: 0, high: 1 });
});

Deno.test("meanInterval() is the mean ± 1.96 standard errors", () => {
  const values = [1, 2, 3, 4, 5];
  const sum = 15;
  const squares = 55;
  const spread = 1.959963984540054 * Math.sqrt(2.5 / values.length);
  const { low, high } = meanInterval({ sum, squares }, values.length);
  close(low, 3 - spread, 1e-12);
  close(high, 3 + spread, 1e-12);
  assert.deepEqual(meanInterval({ sum: 3, squares: 9 }, 1), { low: -Infinity, high: Infinity });
});

Deno.test("binomialProbability() adds up to 1 and gives known values", () => {
  close(binomialProbability(2, { n: 4, p: 0.5 }), 0.375, 1e-15);
  let sum = 0;
  for (let k = 0; k <= 30; k++) sum += binomialProbability(k, { n: 30, p: 1 / 16 });
  close(sum, 1, 1e-12);
});

Deno.test("matthews() is the correlation of wanted and chosen, and 0 where one of them never changes", () => {
  close(matthews([[6, 1], [2, 3]]).value, 0.47809, 1e-5); // (6·3 − 1·2) / √(7·5·8·4)
  assert.equal(matthews([[5, 0], [0, 7]]).value, 1);
  assert.equal(matthews([[0, 5], [7, 0]]).value, -1);
  const { value, low, high } = matthews([[0, 40], [0, 60]]);
  assert.equal(value, 0);
  close(high, 0.196, 1e-3);
  assert.equal(low, -high);
  assert.deepEqual(matthews([[0, 0], [0, 0]]), { value: 0, low: -1, high: 1 });
});

/** Counts of `n` draws with the shares of `counts`. */
function resample(counts: TwoByTwo, { random, n }: { random: CounterRandom; n: number }): TwoByTwo {
  const [[a, b], [c]] = counts;
  const drawn = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const at = random.below(n, i);
    drawn[at < a ? 0 : at < a + b ? 1 : at < a + b + c ? 2 : 3]++;
  }
  return [[drawn[0], drawn[1]], [drawn[2], drawn[3]]];
}

Deno.test("matthews() has the interval that a bootstrap has", () => {
  const tables: TwoByTwo[] = [[[150, 50], [80, 220]], [[60, 20], [190, 230]], [[200, 50], [200, 50]]];
  for (const counts of tables) {
    const values = Array.from({ length: 1000 }, (_, i) => {
      const random = CounterRandom.fromSeed(i, "bootstrap");
      return matthews(resample(counts, { random, n: 500 })).value;
    });
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
    const { low, high } = matthews(counts);
    close((high - low) / 2, 1.96 * deviation, 0.1 * deviation * 1.96);
  }
});

// scipy.stats.t.ppf(0.975, degrees)
const STUDENT = [
  [1, 12.706204736],
  [2, 4.302652730],
  [3, 3.182446305],
  [4, 2.776445105],
  [7, 2.364624252],
  [10, 2.228138852],
  [29, 2.045229642],
  [100, 1.983971519],
];

Deno.test("studentQuantile() gives scipy's values, and comes close to the normal one", () => {
  for (const [degrees, quantile] of STUDENT) close(studentQuantile(degrees), quantile, 1e-8 * quantile);
  close(studentQuantile(100_000), 1.959988, 1e-5);
});

Deno.test("studentInterval() has the mean in its middle, and covers it in 95 of 100 cases", () => {
  assert.deepEqual(studentInterval([3]), { mean: 3, low: -Infinity, high: Infinity, n: 1 });
  const { mean, low, high, n } = studentInterval([1, 1.2, 1.1]);
  close(mean, 1.1, 1e-12);
  close(low, 0.851586, 1e-6);
  close(high, 1.348414, 1e-6);
  assert.equal(n, 3);
  const random = CounterRandom.fromSeed(7, "student");
  const trials = 4_000;
  let covered = 0;
  for (let trial = 0; trial < trials; trial++) {
    const values = Array.from({ length: 5 }, (_, i) => random.normal(5 * trial + i));
    const { low, high } = studentInterval(values);
    if (low < 0 && 0 < high) covered++;
  }
  close(covered / trials, 0.95, 0.012);
});
