import assert from "node:assert/strict";
import fc from "fast-check";
import { CounterRandom, philox4x32 } from "../../shared/random.ts";

// The known answers of the authors' own library, Random123 (kat_vectors).
const KNOWN_ANSWERS = [
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    out: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    out: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    out: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

Deno.test("philox4x32() gives the known answers of Random123", () => {
  const out = new Uint32Array(4);
  for (const { counter, key, out: expected } of KNOWN_ANSWERS) {
    philox4x32({ counter, key }, out);
    assert.deepEqual([...out], expected);
  }
});

Deno.test("CounterRandom draws depend on seed, path and counter alone, not on the order of calls", () => {
  const counters = fc.array(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), { minLength: 1 });
  fc.assert(fc.property(fc.maxSafeNat(), counters, (seed, draws) => {
    const one = CounterRandom.fromSeed(seed, "a", 3);
    const other = CounterRandom.fromSeed(seed, "a", 3);
    const forwards = draws.map((
      counter,
    ) => [one.uint32(counter), one.below(10, counter), one.normal(counter)]);
    const backwards = draws.toReversed().map((counter) => {
      const normal = other.normal(counter);
      return [other.uint32(counter), other.below(10, counter), normal];
    });
    assert.deepEqual(forwards, backwards.toReversed());
  }));
});

Deno.test("CounterRandom.derive() makes other numbers for every other path", () => {
  const paths = [[1], [2], ["1"], ["a", "b"], ["ab"], ["a"], [1, 0], [2 ** 40], [2 ** 40 + 2 ** 33], [""]];
  const first = paths.map((path) => CounterRandom.fromSeed(7, ...path).uint32(0));
  assert.equal(new Set(first).size, paths.length);
  assert.equal(
    CounterRandom.fromSeed(7, "a", "b").uint32(9),
    CounterRandom.fromSeed(7).derive("a", "b").uint32(9),
  );
});

Deno.test("CounterRandom.fromSeed() refuses a seed that is not a whole number", () => {
  assert.throws(() => CounterRandom.fromSeed(-1), /Cannot use -1 .* must be an integer from 0/);
  assert.throws(() => CounterRandom.fromSeed(0.5), RangeError);
});

Deno.test("CounterRandom.uint32() and uniform() do not repeat in neighbouring counters", () => {
  const random = CounterRandom.fromSeed(1);
  const words = new Set(Array.from({ length: 4_000 }, (_, i) => random.uint32(i)));
  assert.ok(words.size > 3_990);
  const fractions = Array.from({ length: 4_000 }, (_, i) => random.uniform(i));
  assert.equal(new Set(fractions).size, 4_000);
  assert.ok(fractions.every((u) => u >= 0 && u < 1));
});

Deno.test("CounterRandom.below() is in range and even", () => {
  const random = CounterRandom.fromSeed(3);
  const draws = 30_000;
  const counts = new Array(6).fill(0);
  for (let i = 0; i < draws; i++) counts[random.below(6, i)]++;
  const chiSquare = counts.reduce((sum, count) => sum + (count - draws / 6) ** 2 / (draws / 6), 0);
  assert.ok(chiSquare < 20.5, `chi-square ${chiSquare} of 5 degrees of freedom: p < 0.001`);
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 53 - 1 }), fc.maxSafeNat(), (n, counter) => {
    const value = random.below(n, counter);
    assert.ok(Number.isInteger(value) && value >= 0 && value < n);
  }));
});

Deno.test("CounterRandom.normal() has the moments of N(0, 1) and float32 values", () => {
  const values = new Float32Array(100_000);
  CounterRandom.fromSeed(5).fillNormal(values);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  const fourth = values.reduce((sum, x) => sum + x ** 4, 0) / values.length;
  assert.ok(Math.abs(mean) < 0.013, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.018, `variance ${variance}`);
  assert.ok(Math.abs(fourth - 3) < 0.13, `fourth moment ${fourth}`);
});

Deno.test("CounterRandom.fillNormal() equals normal() element by element", () => {
  const random = CounterRandom.fromSeed(5);
  const values = new Float32Array(101);
  random.fillNormal(values, { firstCounter: 40, standardDeviation: 0.02 });
  const scale = Math.fround(0.02);
  assert.deepEqual([...values], [...values].map((_, i) => Math.fround(scale * random.normal(40 + i))));
});

Deno.test("CounterRandom.permute() is a bijection, another one for another key", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), fc.maxSafeNat(), (size, seed) => {
    const random = CounterRandom.fromSeed(seed);
    const image = Array.from({ length: size }, (_, index) => random.permute(index, size));
    assert.deepEqual(image.toSorted((a, b) => a - b), Array.from({ length: size }, (_, i) => i));
  }));
  const images = [1, 2].map((seed) =>
    Array.from({ length: 50 }, (_, i) => CounterRandom.fromSeed(seed).permute(i, 50))
  );
  assert.notDeepEqual(images[0], images[1]);
});

Deno.test("CounterRandom.permute() stays in range for sizes beyond 2^32", () => {
  const size = 2 ** 45 + 7;
  const random = CounterRandom.fromSeed(1);
  const images = new Set(Array.from({ length: 200 }, (_, i) => random.permute(size - 1 - i, size)));
  assert.equal(images.size, 200);
  assert.ok([...images].every((x) => x >= 0 && x < size));
});
