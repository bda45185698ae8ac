import assert from "node:assert/strict";
import { printGraph } from "../../../../worker/compiler/graph.ts";
import { removeDeadCode } from "../../../../worker/compiler/passes/dead_code.ts";
import { assertSameResults, build, float } from "./pass_support.ts";

Deno.test("removeDeadCode() leaves out what no output needs, chains of it too, and keeps all inputs", async () => {
  const graph = build({ x: float(2, 2), unused: float(3) }, ({ x }, emit) => {
    emit("exp", [emit("neg", [x], {})], {});
    const half = emit("split", [x], { axis: 0, sizes: [1, 1] });
    return { half, input: x };
  });
  const live = removeDeadCode(graph);
  assert.equal(
    printGraph(live),
    `\
input x: float32[2,2]
input unused: float32[3]
%0: float32[1,2], %1: float32[1,2] = split(x, axis=0, sizes=[1,1])
output half = %0
output input = x
`,
  );
  await assertSameResults(graph, live);
});
