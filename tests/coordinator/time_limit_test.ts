import assert from "node:assert/strict";
import fc from "fast-check";
import { TimeLimit } from "../../coordinator/time_limit.ts";

Deno.test("TimeLimit without an end is never up", () => {
  const limit = new TimeLimit(null);
  limit.took("stepping", 1e9);
  assert.equal(limit.isUp("stepping", 1e15), false);
  assert.equal(limit.isOver(1e15), false);
});

Deno.test("TimeLimit leaves time for what comes next and for a checkpoint, by the longest so far", () => {
  const limit = new TimeLimit(100_000);
  limit.took("stepping", 400);
  limit.took("stepping", 200);
  limit.took("saving", 2_000);
  limit.took("estimating", 10_000);
  // 1.5 × (400 + 2000) and a second to leave
  assert.equal(limit.isUp("stepping", 95_399), false);
  assert.equal(limit.isUp("stepping", 95_400), true);
  assert.equal(limit.isUp("estimating", 80_999), false);
  assert.equal(limit.isUp("estimating", 81_000), true);
  assert.equal(limit.isOver(98_999), false);
  assert.equal(limit.isOver(99_000), true);
});

Deno.test("TimeLimit takes a checkpoint that was never written to be as slow as a slow disk", () => {
  const limit = new TimeLimit(100_000);
  limit.expectCheckpoint(20e6);
  assert.equal(limit.isUp("stepping", 97_499), false);
  assert.equal(limit.isUp("stepping", 97_500), true);
});

Deno.test("TimeLimit ends steps and a checkpoint that take no longer than before in time", () => {
  const ms = fc.integer({ min: 1, max: 5_000 });
  fc.assert(
    fc.property(fc.array(ms, { minLength: 1 }), ms, fc.integer({ min: 20_000 }), (steps, save, end) => {
      const limit = new TimeLimit(end);
      limit.took("saving", save);
      limit.took("stepping", Math.max(...steps));
      let now = 0;
      for (let i = 0; !limit.isUp("stepping", now); i++) now += steps[i % steps.length];
      assert.ok(now + save <= end, `at ${now} a checkpoint of ${save} is begun, before ${end}`);
    }),
    { numRuns: 50 },
  );
});
