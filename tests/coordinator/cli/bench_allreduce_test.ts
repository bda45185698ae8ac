import assert from "node:assert/strict";
import { benchAllReduce } from "../../../coordinator/cli/bench_allreduce.ts";

Deno.test("benchAllReduce() measures processes and gives bus and algorithm bandwidth as nccl-tests does", async () => {
  const figures = await benchAllReduce({ workers: 3, elements: 50_000, measuredMs: 20 });
  assert.ok(figures.p50_ms > 0 && figures.p99_ms >= figures.p50_ms);
  assert.ok(figures.algbw_gb_s > 0);
  assert.ok(Math.abs(figures.busbw_gb_s / figures.algbw_gb_s - 4 / 3) < 1e-9);
});

Deno.test("benchAllReduce() gives the same result over encrypted tcp", async () => {
  const figures = await benchAllReduce({ workers: 3, elements: 50_000, measuredMs: 20, encrypted: true });
  assert.ok(figures.busbw_gb_s > 0);
});

Deno.test("benchAllReduce() with one process needs no socket and has no bus", async () => {
  const figures = await benchAllReduce({ workers: 1, elements: 1000, measuredMs: 1 });
  assert.equal(figures.busbw_gb_s, 0);
  assert.ok(figures.algbw_gb_s > 0);
});
