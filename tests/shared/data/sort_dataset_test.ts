import assert from "node:assert/strict";
import fc from "fast-check";
import { createBatch } from "../../../shared/data/datasets/dataset.ts";
import { openDataset } from "../../../shared/data/datasets/open_dataset.ts";
import { SortSequences } from "../../../shared/data/datasets/sort_sequences.ts";
import { isHeldOut } from "../../../shared/data/held_out.ts";
import { LockstepError } from "../../../shared/errors.ts";

const OPTIONS = {
  dataset: "sort",
  data_dir: null,
  task_data: null,
  sort: { length: 5, values: 7 },
  probe: { length: 4, values: 8 },
  seed: 1337,
  block_size: 12,
  batch_size: 3,
  gradient_accumulation_steps: 4,
} as const;

Deno.test("SortDataset.trainBatch() writes numbers, separator, sorted numbers; targets on the answer only", async () => {
  const dataset = await openDataset(OPTIONS);
  const batch = createBatch(3, 12);
  dataset.trainBatch({ step: 0, shard: 0 }, batch);
  assert.equal(dataset.vocabSize, 8);
  for (let row = 0; row < 3; row++) {
    const tokens = [...batch.tokens.subarray(row * 12, row * 12 + 12)];
    const targets = [...batch.targets.subarray(row * 12, row * 12 + 12)];
    const sorted = tokens.slice(0, 5).toSorted((a, b) => a - b);
    assert.ok(sorted.every((value) => value >= 0 && value < 7));
    assert.deepEqual(tokens.slice(5), [7, ...sorted.slice(0, 4), 7, 7]);
    assert.deepEqual(targets, [-1, -1, -1, -1, -1, ...sorted, -1, -1]);
  }
});

Deno.test("SortDataset batches are a pure function of (seed, step, shard, row), whatever was drawn before", async () => {
  const fresh = async (seed: number, at: { step: number; shard: number }, batch_size = 3) => {
    const dataset = await openDataset({ ...OPTIONS, seed, batch_size });
    const batch = createBatch(batch_size, 12);
    dataset.trainBatch(at, batch);
    return batch;
  };
  const one = await openDataset(OPTIONS);
  const batch = createBatch(3, 12);
  const places = fc.array(fc.record({ step: fc.nat(10_000), shard: fc.nat(3) }), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(places, async (all) => {
      for (const at of all) {
        one.trainBatch(at, batch);
        one.sampleBatch({ split: "val", index: at.step }, createBatch(3, 12));
        assert.deepEqual(batch, await fresh(1337, at));
      }
    }),
    { numRuns: 30 },
  );
  assert.notDeepEqual(
    (await fresh(1, { step: 2, shard: 1 })).tokens,
    (await fresh(2, { step: 2, shard: 1 })).tokens,
  );
});

Deno.test("SortDataset numbers samples through rows, shards and steps, so regrouping keeps them", async () => {
  const tokensOf = async (V: number, B: number) => {
    const dataset = await openDataset({ ...OPTIONS, gradient_accumulation_steps: V, batch_size: B });
    const batch = createBatch(B, 12);
    const rows: number[] = [];
    for (let step = 0; step < 2; step++) {
      for (let shard = 0; shard < V; shard++) {
        dataset.trainBatch({ step, shard }, batch);
        rows.push(...batch.tokens);
      }
    }
    return rows;
  };
  assert.deepEqual(await tokensOf(4, 3), await tokensOf(2, 6));
  assert.deepEqual(await tokensOf(4, 3), await tokensOf(12, 1));
});

Deno.test("SortSequences of the two splits never meet, for any seed and purpose", () => {
  const shape = { length: 4, values: 6 }; // 1,296 sequences: nearly all are drawn
  const draw = (split: "train" | "val", seed: number) => {
    const sequences = new SortSequences(shape, { seed, purpose: split });
    const numbers = new Int32Array(shape.length);
    return new Set(Array.from({ length: 4_000 }, (_, index) => {
      sequences.fill({ split, index }, numbers);
      return numbers.join(" ");
    }));
  };
  const train = draw("train", 1);
  const held = draw("val", 2);
  assert.ok(train.isDisjointFrom(held));
  assert.ok(train.size > 1_100 && held.size > 40, `${train.size} and ${held.size}`);
});

Deno.test("isHeldOut() takes about one sequence in 16, all-zero ones of any length alike", () => {
  const numbers = new Int32Array(16);
  const sequences = new SortSequences({ length: 16, values: 16 }, { seed: 1, purpose: "test" });
  let held = 0;
  for (let index = 0; index < 8_000; index++) {
    sequences.fill({ split: index % 2 === 0 ? "train" : "val", index }, numbers);
    assert.equal(isHeldOut(numbers, 16), index % 2 === 1);
    for (let i = 0; i < 16; i++) numbers[i] = (numbers[i] * 7 + index) % 16;
    held += isHeldOut(numbers, 16) ? 1 : 0;
  }
  assert.ok(Math.abs(held / 8_000 - 1 / 16) < 0.01, `${held} of 8,000`);
  const zeros = Array.from({ length: 200 }, (_, length) => isHeldOut(new Int32Array(length), length));
  assert.ok(new Set(zeros).size === 2);
});

Deno.test("SortDataset.sampleBatch() draws validation sequences from the held-out part", async () => {
  const dataset = await openDataset(OPTIONS);
  const batch = createBatch(6, 12);
  for (const split of ["train", "val"] as const) {
    dataset.sampleBatch({ split, index: 9 }, batch);
    for (let row = 0; row < 6; row++) {
      assert.equal(isHeldOut(batch.tokens.subarray(row * 12), 5), split === "val");
    }
  }
  dataset.close();
});

Deno.test("SortDataset refuses a block that is too short and a problem too small to hold anything out", async () => {
  await assert.rejects(
    openDataset({ ...OPTIONS, block_size: 9 }),
    (error) =>
      error instanceof LockstepError && error.code === "E_CONFIG" &&
      error.message.includes("at least 2 * sort.length = 10: it is 9"),
  );
  await assert.rejects(
    openDataset({ ...OPTIONS, sort: { length: 2, values: 10 } }),
    /2 numbers below 10 make 100, raise/,
  );
});
