import assert from "node:assert/strict";
import { printGraph } from "../../../../worker/compiler/graph.ts";
import { rewrite } from "../../../../worker/compiler/passes/rewrite.ts";
import { build, float } from "./pass_support.ts";

const graph = build({ x: float(2), y: float(2) }, ({ x, y }, emit) => {
  const sum = emit("add", [emit("neg", [x], {}), y], {});
  return { sum, y };
});

Deno.test("rewrite() copies what its rule leaves alone", () => {
  assert.equal(printGraph(rewrite(graph, () => undefined)), printGraph(graph));
});

Deno.test("rewrite() replaces a node's results by what its rule returns, everywhere", () => {
  const negated = rewrite(graph, (node, [a, b], to) => {
    if (node.op === "neg") return [a];
    if (node.op === "add") return to.add("neg", to.add("sub", [b, a], {}), {});
  });
  assert.equal(
    printGraph(negated),
    `\
input x: float32[2]
input y: float32[2]
%0: float32[2] = sub(y, x)
%1: float32[2] = neg(%0)
output sum = %1
output y = y
`,
  );
});
