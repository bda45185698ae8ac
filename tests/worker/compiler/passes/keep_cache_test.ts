import assert from "node:assert/strict";
import { keepCache } from "../../../../worker/compiler/passes/keep_cache.ts";
import { f32, i32, runGraph } from "../run_graph.ts";
import { build, float, int, printed } from "./pass_support.ts";

const config = { n_layer: 1, block_size: 3 };
const made = { "new.keys.0": float(2, 1, 1), "new.values.0": float(2, 1, 1) };

Deno.test("keepCache() fills a cache with what a prompt makes, zero behind it", async () => {
  const graph = build({ made: float(2, 2, 1) }, (values, emit) => ({
    "logits": emit("exp", [values.made], {}),
    "new.keys.0": values.made,
    "new.values.0": emit("neg", [values.made], {}),
  }));
  const kept = keepCache(graph, config);
  assert.equal(
    printed(kept),
    `\
input made: float32[2,2,1]
%0: float32[2,2,1] = exp(made)
%1: float32[2,2,1] = neg(made)
%2: float32[2,3,1] = pad(made, before=[0,0,0], after=[0,1,0])
%3: float32[2,3,1] = pad(%1, before=[0,0,0], after=[0,1,0])
output logits = %0
output keys.0 = %2
output values.0 = %3
`,
  );
  const results = await runGraph(kept, { made: f32([2, 2, 1], 1, 2, 3, 4) });
  assert.deepEqual(results["keys.0"].data, [1, 2, 0, 3, 4, 0]);
});

Deno.test("keepCache() puts a token's keys and values in at each row's position", async () => {
  const rows = { ...made, "new.keys.0": float(4, 1, 1) };
  const inputs = { ...rows, "positions": int(2), "keys.0": float(4, 3, 1), "values.0": float(2, 3, 1) };
  const graph = build(inputs, (values) => ({
    "new.keys.0": values["new.keys.0"],
    "new.values.0": values["new.values.0"],
  }));
  const kept = keepCache(graph, config);
  kept.outputs.forEach((output) => output.name = `next ${output.name}`); // ONNX knows one value of a name
  const results = await runGraph(kept, {
    "new.keys.0": f32([4, 1, 1], 10, 20, 30, 40),
    "new.values.0": f32([2, 1, 1], 50, 60),
    "positions": i32([2], 2, 0),
    "keys.0": f32([4, 3, 1], 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3),
    "values.0": f32([2, 3, 1], 1, 2, 3, 4, 5, 6),
  });
  // Rows are (head, b), b fastest: row b of every head is written at positions[b].
  assert.deepEqual(results["next keys.0"].data, [1, 2, 10, 20, 5, 6, 7, 8, 30, 40, 2, 3]);
  assert.deepEqual(results["next values.0"].data, [1, 2, 50, 60, 5, 6]);
});

Deno.test("keepCache() leaves a program without a cache as it is", () => {
  const graph = build({ x: float(2) }, ({ x }, emit) => ({ y: emit("exp", [x], {}) }));
  assert.equal(printed(keepCache(graph, config)), printed(graph));
});
