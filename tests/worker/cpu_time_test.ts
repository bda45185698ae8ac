import assert from "node:assert/strict";
import { cpuMs } from "../../worker/cpu_time.ts";

Deno.test({
  name: "cpuMs() grows with what is computed, with a worker's permissions",
  permissions: { read: true, write: true, env: true, sys: true, ffi: true },
  fn() {
    const before = cpuMs();
    for (const began = performance.now(); performance.now() - began < 100;) { /* computes */ }
    const grown = cpuMs() - before;
    assert.ok(Number.isInteger(grown) && grown >= 10, `${grown} ms`);
  },
});
