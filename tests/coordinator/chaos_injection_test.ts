import assert from "node:assert/strict";
import { parseChaos } from "../../coordinator/chaos/injection.ts";

Deno.test("parseChaos() reads faults and how often they come", () => {
  assert.deepEqual(parseChaos("kill:10s,stall:1.5m"), [
    { kind: "kill", everyMs: 10_000 },
    { kind: "stall", everyMs: 90_000 },
  ]);
  assert.deepEqual(parseChaos("kill:250ms"), [{ kind: "kill", everyMs: 250 }]);
});

Deno.test("parseChaos() refuses what is no fault, and names those that are", () => {
  for (const text of ["", "kill", "kill:0s", "kill:10", "burn:10s", "kill:10s,"]) {
    assert.throws(() => parseChaos(text), { code: "E_CONFIG", message: /known are kill, stall/ }, text);
  }
});
