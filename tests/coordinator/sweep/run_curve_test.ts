import assert from "node:assert/strict";
import fc from "fast-check";
import { meanOverTraining, readCurve, thin } from "../../../coordinator/sweep/run_curve.ts";

Deno.test("thin() keeps at most so many, evenly, with the last", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 100 }), (length, most) => {
      const items = Array.from({ length }, (_, i) => i);
      const kept = thin(items, most);
      assert.ok(kept.length <= most && (length > most || kept.length === length));
      assert.equal(kept.at(-1), length - 1);
      assert.ok(new Set(kept.slice(1).map((item, i) => item - kept[i])).size <= 1);
    }),
  );
});

Deno.test("readCurve() takes the last estimate of each step, and no figures of tasks", async () => {
  const path = await Deno.makeTempFile();
  try {
    const estimate = (step: number, val_loss: number) =>
      JSON.stringify({ step, task: "estimate", metrics: { train_loss: val_loss - 1, val_loss } });
    const task = JSON.stringify({ step: 10, task: "sort", metrics: { exact_match: 0.5 } });
    await Deno.writeTextFile(path, [estimate(0, 4), estimate(10, 3), task, estimate(10, 2), ""].join("\n"));
    assert.deepEqual(await readCurve(path), { step: [0, 10], train_loss: [3, 1], val_loss: [4, 2] });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("meanOverTraining() weighs the loss by steps, whatever their distance, and leaves out what is not known", () => {
  const curve = { step: [0, 10, 20, 40], train_loss: [], val_loss: [4, 2, null, 2] };
  assert.equal(meanOverTraining(curve), (10 * 3 + 30 * 2) / 40);
  assert.equal(meanOverTraining({ ...curve, val_loss: [4, null, null, null] }), null);
});
