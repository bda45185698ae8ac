import assert from "node:assert/strict";
import fc from "fast-check";
import { argMax } from "../../worker/generate.ts";
import { createSampler, type Sampling, tokenProbabilities } from "../../worker/sampling.ts";

const all = { temperature: 1, topK: null, topP: 1 };
const at = { row: 0, index: 0 };

/** Logits with ties, as small steps of a grid give them. */
const logitsOf = fc.array(fc.integer({ min: -12, max: 12 }), { minLength: 1, maxLength: 20 })
  .map((values) => Float32Array.from(values, (x) => x / 3));
const samplings: fc.Arbitrary<Sampling> = fc.record({
  temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
  topK: fc.option(fc.integer({ min: 1, max: 25 })),
  topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
});
const near = (a: number, b: number) => Math.abs(a - b) < 1e-12;

Deno.test("tokenProbabilities() is the softmax of logits / temperature where nothing is left out", () => {
  fc.assert(fc.property(logitsOf, fc.double({ min: 0.1, max: 5, noNaN: true }), (logits, temperature) => {
    const weights = Array.from(logits, (x) => Math.exp(x / temperature));
    const sum = weights.reduce((a, b) => a + b);
    const made = tokenProbabilities(logits, { ...all, temperature });
    made.forEach((p, id) => assert(Math.abs(p - weights[id] / sum) < 1e-12));
  }));
});

Deno.test("tokenProbabilities() sums to 1 and keeps the order of the logits among what it keeps", () => {
  fc.assert(fc.property(logitsOf, samplings, (logits, sampling) => {
    const made = tokenProbabilities(logits, sampling);
    assert(near(made.reduce((a, b) => a + b), 1));
    assert(made[argMax(logits)] > 0);
    const worstKept = Math.min(...logits.filter((_, id) => made[id] > 0));
    made.forEach((p, id) => assert(p > 0 || logits[id] <= worstKept));
  }));
});

Deno.test("tokenProbabilities() with top_k keeps exactly those not below the k-th largest, ties included", () => {
  fc.assert(fc.property(logitsOf, fc.integer({ min: 1, max: 25 }), (logits, topK) => {
    const sorted = Array.from(logits).sort((a, b) => b - a);
    const least = sorted[Math.min(topK, sorted.length) - 1];
    const made = tokenProbabilities(logits, { ...all, topK });
    assert.deepEqual(Array.from(made, (p) => p > 0), Array.from(logits, (x) => x >= least));
  }));
});

Deno.test("tokenProbabilities() with top_p keeps the smallest set that reaches it, at least one token", () => {
  fc.assert(fc.property(logitsOf, fc.double({ min: 1e-9, max: 0.999, noNaN: true }), (logits, topP) => {
    const before = tokenProbabilities(logits, all);
    const kept = Array.from(tokenProbabilities(logits, { ...all, topP }))
      .flatMap((p, id) => p > 0 ? [before[id]] : []).sort((a, b) => a - b);
    const sum = kept.reduce((a, b) => a + b, 0);
    assert(kept.length >= 1);
    assert(sum >= topP - 1e-12);
    assert(sum - kept[0] < topP + 1e-12);
  }));
});

Deno.test("tokenProbabilities() applies top_p to what top_k left", () => {
  const logits = Float32Array.from([0.4, 0.3, 0.2, 0.1], Math.log);
  const made = tokenProbabilities(logits, { temperature: 1, topK: 2, topP: 0.5 }); // 4/7 reaches 0.5
  assert.deepEqual([...made], [1, 0, 0, 0]);
});

Deno.test("createSampler() with temperature 0 or top_k 1 takes the likeliest token", () => {
  fc.assert(fc.property(logitsOf, fc.nat(), (logits, seed) => {
    const place = { seed, firstSample: 0 };
    assert.equal(createSampler({ ...all, temperature: 0 }, place)(logits, at), argMax(logits));
    const drawn = createSampler({ ...all, topK: 1 }, place)(logits, at);
    assert.equal(logits[drawn], Math.max(...logits));
  }));
});

Deno.test("createSampler() draws each token as often as its probability says (chi-square)", () => {
  const logits = Float32Array.of(1.5, -0.5, 0.3, 2, 0.3, -3, 1);
  const draws = 20_000;
  const settings: Sampling[] = [
    all,
    { ...all, temperature: 0.8 },
    { ...all, temperature: 2.5 },
    { ...all, topK: 3 },
    { ...all, topP: 0.7 },
    { temperature: 1.3, topK: 5, topP: 0.9 },
  ];
  for (const [seed, sampling] of settings.entries()) {
    const probabilities = tokenProbabilities(logits, sampling);
    const sample = createSampler(sampling, { seed, firstSample: 0 });
    const counts = new Float64Array(logits.length);
    for (let index = 0; index < draws; index++) counts[sample(logits, { row: 0, index })]++;
    let chiSquare = 0;
    probabilities.forEach((p, id) => {
      if (p === 0) assert.equal(counts[id], 0);
      else chiSquare += (counts[id] - draws * p) ** 2 / (draws * p);
    });
    assert(chiSquare < 22.46, `chi-square ${chiSquare} of ${JSON.stringify(sampling)}`); // 0.999 of 6 degrees
  }
});

Deno.test("createSampler() draws by seed, sample and index alone, in whatever row a sample is", () => {
  const logits = new Float32Array(1000);
  const sampling = { ...all, topP: 0.999 };
  fc.assert(fc.property(fc.nat(), fc.nat(50), fc.nat(50), fc.nat(500), (seed, firstSample, row, index) => {
    const inBatch = createSampler(sampling, { seed, firstSample })(logits, { row, index });
    const alone = createSampler(sampling, { seed, firstSample: firstSample + row })(logits, {
      row: 0,
      index,
    });
    assert.equal(inBatch, alone);
  }));
  const drawn = (seed: number, firstSample: number) => {
    const sample = createSampler(sampling, { seed, firstSample });
    return Array.from({ length: 20 }, (_, index) => sample(logits, { row: 0, index })).join(" ");
  };
  assert.equal(new Set([drawn(1, 0), drawn(1, 1), drawn(2, 0)]).size, 3);
});

Deno.test("createSampler() never draws a token that the model rules out, and refuses logits that are no numbers", () => {
  const ruledOut = Float32Array.of(-Infinity, 0, -Infinity);
  for (let seed = 0; seed < 50; seed++) {
    assert.equal(createSampler(all, { seed, firstSample: 0 })(ruledOut, at), 1);
  }
  for (const logits of [[0, NaN, 1], [Infinity, 0, 0], [-Infinity, -Infinity, -Infinity]]) {
    for (const temperature of [0, 1]) {
      const sample = createSampler({ ...all, temperature }, { seed: 0, firstSample: 0 });
      assert.throws(() => sample(Float32Array.from(logits), at), {
        code: "E_NON_FINITE",
        message: /^Cannot choose a token as the model's logits are not finite/,
      });
    }
  }
});
