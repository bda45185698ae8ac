import assert from "node:assert/strict";
import fc from "fast-check";
import { openProbe, PROBE_NAMES } from "../../../../shared/data/probes/open_probe.ts";
import { isHeldOut } from "../../../../shared/data/held_out.ts";
import { drawDistinct, itemOf } from "../../../../shared/data/probes/probe.ts";
import { CounterRandom } from "../../../../shared/random.ts";
import { SOLVERS } from "./solvers.ts";

const SHAPES = [{ length: 4, values: 8 }, { length: 16, values: 32 }, { length: 2, values: 40 }];

for (const name of PROBE_NAMES) {
  Deno.test(`${name}: a solver that sees only the prompt answers every item, all of one size and in range`, () => {
    for (const shape of SHAPES.filter(({ length }) => name !== "copy_repeat" || length >= 4)) {
      const probe = openProbe(name, shape);
      const random = CounterRandom.fromSeed(1, name);
      for (let index = 0; index < 300; index++) {
        const { prompt, answer, rival } = itemOf(probe, { random, index, isHeldOut: index % 2 === 0 });
        assert.deepEqual([...answer], SOLVERS[name](prompt, shape));
        assert.equal(prompt.length, probe.promptLength);
        assert.equal(answer.length, probe.answerLength);
        assert.ok([...prompt, ...answer, ...rival ?? []].every((id) => id >= 0 && id < probe.vocabSize));
        assert.equal(isHeldOut(prompt, prompt.length), index % 2 === 0);
        assert.notDeepEqual(rival, answer);
      }
    }
  });

  Deno.test(`${name}: held-out prompts are no prompts of training, whatever the seed`, () => {
    const probe = openProbe(name, { length: 4, values: 8 });
    const prompts = (isHeldOut: boolean, seed: number) => {
      const random = CounterRandom.fromSeed(seed, name);
      return Array.from(
        { length: 500 },
        (_, index) => itemOf(probe, { random, index, isHeldOut }).prompt.join(),
      );
    };
    const held = new Set([1, 2, 3].flatMap((seed) => prompts(true, seed)));
    assert.ok(held.size > 50);
    for (const seed of [1, 4]) for (const prompt of prompts(false, seed)) assert.ok(!held.has(prompt));
  });
}

Deno.test("openProbe() refuses sizes that make no items, and says what is needed", () => {
  assert.throws(() => openProbe("kv_retrieval", { length: 16, values: 8 }), {
    code: "E_CONFIG",
    message: /probe.values at least 16/,
  });
  assert.throws(() => openProbe("copy_repeat", { length: 2, values: 8 }), { code: "E_CONFIG" });
});

Deno.test("drawDistinct() gives different numbers, each as often", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.nat(30), fc.nat(), (n, most, seed) => {
      const random = CounterRandom.fromSeed(seed, "draw");
      let at = 0;
      const drawn = drawDistinct((below) => random.below(below, at++), { count: Math.min(n, most), n });
      assert.equal(new Set(drawn).size, drawn.length);
      assert.ok(drawn.every((number) => number >= 0 && number < n));
    }),
  );
  const counts = new Array(5).fill(0);
  const random = CounterRandom.fromSeed(1, "often");
  for (let trial = 0; trial < 5_000; trial++) {
    let at = 0;
    for (const number of drawDistinct((below) => random.below(below, 8 * trial + at++), { count: 2, n: 5 })) {
      counts[number]++;
    }
  }
  assert.ok(counts.every((count) => Math.abs(count - 2_000) < 200), counts.join());
});
