import assert from "node:assert/strict";
import { Slowness } from "../../coordinator/slowness.ts";

Deno.test("Slowness tells once of a member that is waited for in most of its beats, and again once it was not for a while", () => {
  const slowness = new Slowness();
  const beat = (isWaitedFor: boolean, times: number) =>
    Array.from({ length: times }, () => slowness.beat("a", isWaitedFor)).filter((told) => told).length;
  assert.equal(beat(true, 6), 0);
  assert.equal(beat(false, 1), 0);
  assert.equal(beat(true, 1), 1);
  assert.equal(beat(true, 50), 0);
  assert.equal(beat(false, 4), 0);
  assert.equal(beat(true, 50), 0, "it was never fast in between");
  assert.equal(beat(false, 7), 0);
  assert.equal(beat(true, 7), 1);
});

Deno.test("Slowness judges members apart, and not by what it was told before forget()", () => {
  const slowness = new Slowness();
  for (let i = 0; i < 6; i++) assert.ok(!slowness.beat("a", true) && !slowness.beat("b", false));
  slowness.forget();
  assert.ok(!slowness.beat("a", true));
});
