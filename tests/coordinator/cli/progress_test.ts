import assert from "node:assert/strict";
import { describeProgress } from "../../../coordinator/cli/progress.ts";
import { describeStep } from "../../../coordinator/cli/train_console.ts";

Deno.test("describeProgress() draws a bar of what is done, and counts only where the total is not known", () => {
  const full = "█".repeat(10) + "░".repeat(20);
  assert.equal(describeProgress({ what: "iter", done: 40, total: 120 }), `${full} iter 40/120`);
  assert.equal(
    describeProgress({ what: "iter", done: 40, total: 120, note: "loss 2.1" }),
    `${full} iter 40/120  loss 2.1`,
  );
  assert.equal(
    describeProgress({ what: "fetched", done: 1_000_000, total: 3_000_000, isBytes: true }),
    `${full} fetched 1.0/3.0 MB`,
  );
  assert.equal(
    describeProgress({ what: "fetched", done: 12_340_000, total: null, isBytes: true }),
    "fetched 12.3 MB",
  );
  assert.equal(describeProgress({ what: "iter", done: 0, total: 0 }), `${"░".repeat(30)} iter 0/0`);
});

Deno.test("describeStep() is nanoGPT's line, with its -100.00% for an MFU that is not known", () => {
  const line = { step: 10, loss: 3.21, lr: 1e-3, grad_norm: 1, tokens: 0, tokens_per_sec: 0, dt_ms: 45.1 };
  assert.equal(describeStep({ ...line, mfu: 0.123 }), "iter 10: loss 3.2100, time 45.10ms, mfu 12.30%");
  assert.equal(describeStep({ ...line, mfu: null }), "iter 10: loss 3.2100, time 45.10ms, mfu -100.00%");
});
