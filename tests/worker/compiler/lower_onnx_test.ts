import assert from "node:assert/strict";
import fc from "fast-check";
import { Graph } from "../../../worker/compiler/graph.ts";
import { lowerOnnx } from "../../../worker/compiler/lower_onnx.ts";
import type { Op } from "../../../worker/compiler/op.ts";
import { assertClose, graphOf } from "./graph_of_op.ts";
import { OP_EXAMPLES, type OpExample, OPS } from "./op_examples.ts";
import { f32, i32, runGraph } from "./run_graph.ts";

async function assertExample<K extends Op>(op: K, example: OpExample<K>): Promise<void> {
  const feeds = Object.fromEntries(example.inputs.map((value, i) => [`in${i}`, value]));
  const portable = { scatterAdd: false, portable: true };
  for (const options of [{ scatterAdd: true }, { scatterAdd: false }, portable]) {
    const results = await runGraph(graphOf(op, example), feeds, options);
    example.outputs.forEach((value, i) => assertClose(results[`out${i}`], value));
  }
}

for (const op of OPS) {
  Deno.test(`lowerOnnx() makes ONNX Runtime compute what ${op} means`, async () => {
    for (const example of OP_EXAMPLES[op]) await assertExample(op, example);
  });
}

Deno.test("lowerOnnx() adds segments alike with ScatterND and with a product", async () => {
  const numbers = fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.nat(4)), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(numbers, async (rows) => {
      const expected = Array(5).fill(0);
      for (const [x, id] of rows) expected[id] += x;
      await assertExample("segmentSum", {
        inputs: [
          f32([rows.length], ...rows.map(([x]) => x)),
          i32([rows.length], ...rows.map(([, id]) => id)),
        ],
        attrs: { count: 5 },
        outputs: [f32([5], ...expected)],
      });
    }),
    { numRuns: 20 },
  );
});

Deno.test("lowerOnnx() scatters only where it is told to, as ScatterND races above one thread", () => {
  const graph = graphOf("segmentSum", OP_EXAMPLES.segmentSum[0]);
  const ops = (scatterAdd: boolean) => lowerOnnx(graph, { scatterAdd }).nodes.map((node) => node.op);
  assert.ok(ops(true).includes("ScatterND"));
  assert.ok(!ops(false).some((op) => op.startsWith("Scatter")));
});

Deno.test("lowerOnnx() stores equal constants once, and generates large ones", () => {
  const graph = new Graph();
  const shape = [2000];
  const [a] = graph.add("fill", [], { type: { dtype: "float32", shape: [2] }, value: 3 });
  const [b] = graph.add("constant", [], { type: { dtype: "float32", shape: [2] }, data: [3, 3] });
  const [large] = graph.add("fill", [], { type: { dtype: "float32", shape }, value: 3 });
  graph.output("sum", graph.add("add", [a, b], {})[0]);
  graph.output("large", large);
  const { nodes, constants } = lowerOnnx(graph, { scatterAdd: true });
  assert.deepEqual(nodes.map((node) => node.op), ["ConstantOfShape", "Add"]);
  assert.deepEqual(constants.map(({ dtype, data }) => ({ dtype, data })), [
    { dtype: "float32", data: [3, 3] },
    { dtype: "int64", data: shape },
  ]);
  assert.deepEqual(nodes[1].inputs, ["c0", "c0"]);
});

Deno.test("lowerOnnx() keeps −0 apart from 0", async () => {
  const graph = new Graph();
  const scalar = (value: number) =>
    graph.add("constant", [], { type: { dtype: "float32", shape: [] }, data: [value] })[0];
  graph.output("a", graph.add("reciprocal", [scalar(0)], {})[0]);
  graph.output("b", graph.add("reciprocal", [scalar(-0)], {})[0]);
  const { a, b } = await runGraph(graph, {});
  assert.deepEqual([a.data, b.data], [[Infinity], [-Infinity]]);
});

Deno.test("lowerOnnx() gives outputs their names without a copy where a node makes them", async () => {
  const graph = new Graph();
  const x = graph.input("x", { dtype: "float32", shape: [2] });
  const [y] = graph.add("neg", [x], {});
  const [z] = graph.add("neg", [y], {});
  graph.output("first", y);
  graph.output("again", y);
  graph.output("second", z);
  graph.output("input", x);
  const { nodes } = lowerOnnx(graph, { scatterAdd: true });
  assert.deepEqual(nodes.map(({ op, outputs }) => [op, ...outputs]), [
    ["Neg", "first"],
    ["Neg", "second"],
    ["Identity", "again"],
    ["Identity", "input"],
  ]);
  const results = await runGraph(graph, { x: f32([2], 1, -2) });
  assert.deepEqual(Object.values(results).map(({ data }) => data), [[-1, 2], [-1, 2], [1, -2], [1, -2]]);
});
