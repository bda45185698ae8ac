import assert from "node:assert/strict";
import fc from "fast-check";
import { createBatch } from "../../../shared/data/datasets/dataset.ts";
import { meanScale, sliceRows } from "../../../worker/engines/slices.ts";

Deno.test("sliceRows() cuts large batches alone, into equal slices", () => {
  const size = fc.integer({ min: 1, max: 400 });
  fc.assert(fc.property(size, size, (batchSize, length) => {
    const rows = sliceRows({ batchSize, length });
    assert.equal(batchSize % rows, 0);
    if (batchSize * length <= 1024) assert.equal(rows, batchSize);
  }));
});

Deno.test("meanScale() is 1 / the number of targets that count, 0 for none", () => {
  const batch = createBatch(2, 3);
  assert.equal(meanScale(batch), 0);
  batch.targets.set([0, -1, 5, -1, -1, 2]);
  assert.equal(meanScale(batch), 1 / 3);
});
