import assert from "node:assert/strict";
import fc from "fast-check";
import { DropoutMasks } from "../../../worker/engines/dropout_masks.ts";
import type { DropoutSite } from "../../../worker/model/programs.ts";
import { KEY } from "./rig.ts";

/** A site over `rows` of a micro-batch: (outer, rows, inner). */
const site = (name: string, outer: number, rows: number, inner: number): DropoutSite => ({
  name,
  outer,
  inner,
  shape: [outer * rows, inner],
});

/** The masks of all rows of a micro-batch. */
async function wholeMask(
  { outer, rows, inner, probability = 0.3, key = KEY }: {
    outer: number;
    rows: number;
    inner: number;
    probability?: number;
    key?: typeof KEY;
  },
): Promise<Float32Array> {
  const only = site("only", outer, rows, inner);
  const masks = await DropoutMasks.create([only], probability);
  masks.fill(key, { firstRow: 0, rows, batchSize: rows });
  return masks.view(only).slice();
}

Deno.test("DropoutMasks.fill() drops the share p and scales the rest by 1 / (1 − p)", async () => {
  for (const probability of [0.05, 0.3, 0.5, 0.9]) {
    const mask = await wholeMask({ outer: 2, rows: 100, inner: 1000, probability });
    const kept = mask.filter((x) => x !== 0);
    assert.ok(kept.every((x) => x === Math.fround(1 / (1 - probability))));
    const deviation = Math.sqrt(probability * (1 - probability) / mask.length);
    assert.ok(Math.abs(1 - kept.length / mask.length - probability) < 4.5 * deviation);
    const mean = mask.reduce((sum, x) => sum + x, 0) / mask.length;
    assert.ok(Math.abs(mean - 1) < 4.5 * deviation / (1 - probability));
  }
});

Deno.test("DropoutMasks.fill() gives rows the same mask in any slice of the micro-batch", () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({ outer: fc.integer({ min: 1, max: 3 }), slices: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ rows: fc.integer({ min: 1, max: 3 }), inner: fc.integer({ min: 1, max: 9 }) }),
      async ({ outer, slices }, { rows, inner }) => {
        const batchSize = slices * rows;
        const whole = await wholeMask({ outer, rows: batchSize, inner });
        const part = site("only", outer, rows, inner);
        const masks = await DropoutMasks.create([part], 0.3);
        for (let firstRow = 0; firstRow < batchSize; firstRow += rows) {
          masks.fill(KEY, { firstRow, rows, batchSize });
          for (let o = 0; o < outer; o++) {
            const begin = (o * batchSize + firstRow) * inner;
            assert.deepEqual(
              masks.view(part).slice(o * rows * inner, (o + 1) * rows * inner),
              whole.slice(begin, begin + rows * inner),
            );
          }
        }
      },
    ),
    { numRuns: 25 },
  ));

Deno.test("DropoutMasks.fill() differs by seed, step, shard and site, and is equal for equal ones", async () => {
  const size = { outer: 1, rows: 4, inner: 64 };
  const keys = [KEY, { ...KEY, seed: 8 }, { ...KEY, step: 4 }, { ...KEY, shard: 2 }, {
    seed: 7,
    step: 1,
    shard: 3,
  }];
  const masks = await Promise.all(keys.map(async (key) => `${await wholeMask({ ...size, key })}`));
  assert.equal(new Set(masks).size, keys.length);
  assert.equal(`${await wholeMask(size)}`, masks[0]);

  const sites = ["a", "b", "c"].map((name) => site(name, 1, 4, 64));
  const several = await DropoutMasks.create(sites, 0.3);
  several.fill(KEY, { firstRow: 0, rows: 4, batchSize: 4 });
  assert.equal(new Set(sites.map((each) => `${several.view(each)}`)).size, 3);
  assert.equal(`${several.view(sites[0])}`, masks[0]);
});

Deno.test("DropoutMasks.fill() has no share of zeros beside another: neighbours are independent", async () => {
  const mask = await wholeMask({ outer: 1, rows: 100, inner: 1000, probability: 0.5 });
  const both = mask.filter((x, i) => i > 0 && x === 0 && mask[i - 1] === 0).length / mask.length;
  assert.ok(Math.abs(both - 0.25) < 4.5 * Math.sqrt(0.25 * 0.75 / mask.length));
});
