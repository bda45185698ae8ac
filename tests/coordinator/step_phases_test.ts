import assert from "node:assert/strict";
import fc from "fast-check";
import { phasesOf } from "../../coordinator/step_phases.ts";

Deno.test("phasesOf() tells reduction from waiting for the slowest member", () => {
  const phases = phasesOf([
    { id: "worker-0", computeMs: 30, prepareMs: 80, waitedMs: 9, applyMs: 4 },
    { id: "worker-1", computeMs: 60, prepareMs: 80, waitedMs: 7, applyMs: 5 },
  ], { beganAt: 1_000, decidedAt: 1_085, endedAt: 1_100 });
  assert.deepEqual(phases, {
    ...{ computeMs: 60, prepareMs: 80, applyMs: 5, overheadMs: 7 },
    workers: [
      { id: "worker-0", compute_ms: 30, wait_ms: 30, reduce_ms: 20, apply_ms: 4 },
      { id: "worker-1", compute_ms: 60, wait_ms: 0, reduce_ms: 20, apply_ms: 5 },
    ],
  });
});

Deno.test("phasesOf() leaves to the step before what a member did before this one began", () => {
  const member = { id: "worker-0", computeMs: 50, prepareMs: 60, waitedMs: 2, applyMs: 4 };
  const { computeMs, prepareMs, overheadMs } = phasesOf([member], {
    ...{ beganAt: 1_000, decidedAt: 1_040, endedAt: 1_044 },
  });
  assert.deepEqual({ computeMs, prepareMs, overheadMs }, { computeMs: 30, prepareMs: 40, overheadMs: 0 });
});

Deno.test("phasesOf(): no phase is negative, and together they are never more than the step, whatever members say", () => {
  const ms = fc.double({ min: 0, max: 1e4, noNaN: true });
  const member = fc.record({ id: fc.string(), computeMs: ms, prepareMs: ms, waitedMs: ms, applyMs: ms });
  fc.assert(fc.property(fc.array(member), ms, ms, ms, (members, beganAt, first, second) => {
    const times = { beganAt, decidedAt: beganAt + first, endedAt: beganAt + first + second };
    const phases = phasesOf(members, times);
    const duration = times.endedAt - beganAt;
    const close = 1e-6;
    assert.ok(phases.overheadMs >= -close, `${phases.overheadMs}`);
    assert.ok(phases.prepareMs + phases.applyMs + phases.overheadMs <= duration + close);
    for (const { id: _, ...worker } of phases.workers) {
      const parts = Object.values(worker).map((part) => part ?? NaN);
      assert.ok(parts.every((part) => part >= -0.001), `${parts}`); // rounded down to whole µs
      assert.ok(parts.reduce((sum, part) => sum + part, 0) <= duration + close);
    }
  }));
});
