import assert from "node:assert/strict";
import { clipScale, gradientNorm } from "../../../worker/optimizer/clip.ts";

Deno.test("gradientNorm() adds square sums in index order in float64", () => {
  assert.equal(gradientNorm(Float64Array.of(9, 16)), 5);
  assert.equal(gradientNorm(Float64Array.of(1e16, 1, 1)), Math.sqrt(1e16 + 1 + 1));
  assert.equal(gradientNorm(new Float64Array(0)), 0);
});

Deno.test("clipScale() shrinks only gradients above the limit, and none for limit 0", () => {
  assert.equal(clipScale(0.5, 1), 1);
  assert.equal(clipScale(4, 1), Math.fround(1 / (4 + 1e-6)));
  assert.equal(clipScale(1e9, 0), 1);
  assert.ok(Number.isNaN(clipScale(NaN, 1)));
});
