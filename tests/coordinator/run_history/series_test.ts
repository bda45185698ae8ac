import assert from "node:assert/strict";
import fc from "fast-check";
import { Series } from "../../../coordinator/run_history/series.ts";

function filled(lines: number, capacity: number, valueAt: (step: number) => number): Series {
  const series = new Series(["loss"], { capacity });
  for (let step = 0; step < lines; step++) series.push(step, [valueAt(step)]);
  return series;
}

Deno.test("Series.curves() gives the lines themselves where they find room", () => {
  const series = new Series(["loss", "mfu"], { capacity: 8 });
  for (const step of [0, 10, 20]) series.push(step, [step / 3, NaN]);
  assert.deepEqual(series.curves({ points: 10 }), {
    steps: [0, 10, 20],
    columns: { loss: { mean: [0, 3.33333, 6.66667] }, mfu: { mean: [null, null, null] } },
  });
  assert.deepEqual(series.curves({ from: 5, to: 19, points: 10 }).steps, [0, 10]);
});

Deno.test("Series keeps the mean and loses no spike, whatever its capacity and the screen's", () => {
  const settings = [fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 50 }), fc.nat()] as const;
  fc.assert(
    fc.property(...settings, (lines, points, where) => {
      const spike = where % lines;
      const series = filled(lines, 64, (step) => step === spike ? -7 : 1);
      const { steps, columns: { loss } } = series.curves({ points });
      assert.ok(steps.length <= points);
      assert.equal(Math.min(...(loss.min ?? loss.mean).map(Number)), -7);
      assert.equal(Math.max(...(loss.max ?? loss.mean).map(Number)), lines === 1 ? -7 : 1);
      if (points === 1) assert.ok(Math.abs(Number(loss.mean[0]) - (lines - 8) / lines) < 1e-3);
    }),
  );
});

Deno.test("Series passes over numbers that are none, and over steps that are not newer", () => {
  const series = filled(1_000, 64, (step) => step % 2 === 0 ? NaN : 2);
  series.push(5, [100]);
  const { columns: { loss } } = series.curves({ points: 10 });
  assert.deepEqual(new Set([...loss.mean, ...loss.max ?? []]), new Set([2]));
  assert.equal(series.last, 999);
});
