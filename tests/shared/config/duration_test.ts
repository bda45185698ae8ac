import assert from "node:assert/strict";
import fc from "fast-check";
import { duration, durationMs } from "../../../shared/config/duration.ts";

Deno.test("durationMs() reads minutes and texts with units", () => {
  assert.equal(durationMs(1.5), 90_000);
  assert.equal(durationMs("45s"), 45_000);
  assert.equal(durationMs("11h30m"), 41_400_000);
  assert.equal(durationMs("1d2h3m4s"), 93_784_000);
});

Deno.test("durationMs() adds up what duration() accepts, unit by unit", () => {
  const amount = fc.nat(10_000);
  fc.assert(fc.property(amount, amount, amount, amount, (d, h, m, s) => {
    const text = `${d}d${h}h${m}m${s}s`;
    assert.equal(durationMs(text), 1_000 * (s + 60 * (m + 60 * (h + 24 * d))));
    assert.equal(duration().safeParse(text).success, d + h + m + s > 0);
  }));
});

Deno.test("duration() refuses what is no time above 0", () => {
  for (const bad of ["", "0m", "90", "h", "1m1h", "1.5h", "-5m", "5 m", 0, -1, Infinity]) {
    assert.equal(duration().safeParse(bad).success, false, String(bad));
  }
});
