import assert from "node:assert/strict";
import { Graph } from "../../../worker/compiler/graph.ts";
import { peakBytes } from "../../../worker/compiler/peak_memory.ts";

Deno.test("peakBytes() counts what is alive at once, without inputs and outputs, and views once", () => {
  const graph = new Graph();
  const x = graph.input("x", { dtype: "float32", shape: [10] });
  const [a] = graph.add("exp", [x], {}); // 40 bytes, kept for the end
  const [b] = graph.add("reshape", [a], { shape: [5, 2] }); // no bytes of its own
  const [c] = graph.add("erf", [b], {}); // 40 more
  const [d] = graph.add("tanh", [c], {}); // 40 more; then c goes
  const [e] = graph.add("reduceSum", [d], { axes: [1], keepDims: false }); // 20 beside a and d
  const [f] = graph.add("reshape", [a], { shape: [2, 5] });
  graph.output("y", graph.add("mul", [f, e], {})[0]);
  assert.equal(peakBytes(graph), 120);
});

Deno.test("peakBytes() frees at once what nothing reads", () => {
  const graph = new Graph();
  const x = graph.input("x", { dtype: "float32", shape: [4, 2] });
  const [first] = graph.add("split", [x], { axis: 0, sizes: [1, 3] }); // 8 and 24 bytes, the second unread
  const [made] = graph.add("exp", [first], {});
  graph.output("y", graph.add("neg", [made], {})[0]);
  assert.equal(peakBytes(graph), 32);
});
