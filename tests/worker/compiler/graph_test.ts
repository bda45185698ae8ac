import assert from "node:assert/strict";
import {
  countUses,
  formatType,
  Graph,
  type Node,
  printGraph,
  sizeOf,
  uniformValue,
  verifyGraph,
} from "../../../worker/compiler/graph.ts";
import type { TensorType } from "../../../worker/compiler/op.ts";

const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });

/** x (2, 3) and w (3, 4): y = x·w and its halves. */
function example(): Graph {
  const graph = new Graph();
  const x = graph.input("x", float(2, 3));
  const w = graph.input("w", float(3, 4));
  const [y] = graph.add("matMul", [x, w], { transposeA: false, transposeB: false, alpha: 0.5 });
  const [left, right] = graph.add("split", [y], { axis: 1, sizes: [1, 3] });
  const [one] = graph.add("fill", [], { type: float(), value: 1 });
  graph.output("left", graph.add("add", [left, one], {})[0]);
  graph.output("right", right);
  graph.output("x", x);
  return graph;
}

Deno.test("printGraph() shows inputs, nodes with types and attributes, and outputs, one a line", () => {
  assert.equal(
    printGraph(example()),
    `\
input x: float32[2,3]
input w: float32[3,4]
%0: float32[2,4] = matMul(x, w, transposeA=false, transposeB=false, alpha=0.5)
%1: float32[2,1], %2: float32[2,3] = split(%0, axis=1, sizes=[1,3])
%3: float32[] = fill(value=1)
%4: float32[2,1] = add(%1, %3)
output left = %4
output right = %2
output x = x
`,
  );
});

Deno.test("printGraph() numbers values in the order of the nodes, whatever their ids", () => {
  const graph = new Graph();
  graph.add("range", [], { dtype: "int32", start: 0, step: 1, length: 2 });
  graph.nodes.pop();
  graph.output("y", graph.add("fill", [], { type: float(2), value: 0 })[0]);
  assert.equal(printGraph(graph), "%0: float32[2] = fill(value=0)\noutput y = %0\n");
});

Deno.test("formatType() and sizeOf() describe scalars and tensors", () => {
  assert.deepEqual([formatType(float()), sizeOf(float())], ["float32[]", 1]);
  assert.deepEqual([formatType({ dtype: "int32", shape: [12, 0] }), sizeOf(float(12, 0))], [
    "int32[12,0]",
    0,
  ]);
});

Deno.test("Graph.type() refuses a value that nothing made", () => {
  assert.throws(() => new Graph().type(3), { code: "E_GRAPH", message: /%3 is not defined/ });
});

Deno.test("Graph.producer() is the node that makes a value, and nothing for an input", () => {
  const graph = example();
  assert.equal(graph.producer(graph.inputs[0].value), undefined);
  const split = graph.nodes[1];
  assert.deepEqual(split.outputs.map((id) => graph.producer(id)), [split, split]);
});

Deno.test("countUses() counts every reading, by nodes and as an output", () => {
  const graph = new Graph();
  const x = graph.input("x", float(2));
  const [square] = graph.add("mul", [x, x], {});
  const [unused] = graph.add("neg", [square], {});
  graph.output("square", square);
  const uses = countUses(graph);
  assert.deepEqual([x, square, unused].map((id) => uses.get(id)), [2, 2, undefined]);
});

Deno.test("uniformValue() looks through reshape and tile, and knows no other value", () => {
  const graph = new Graph();
  const x = graph.input("x", float(1));
  const [fill] = graph.add("fill", [], { type: float(2, 3), value: 5 });
  const [constant] = graph.add("constant", [], { type: float(1), data: [-0] });
  const [two] = graph.add("constant", [], { type: float(2), data: [4, 4] });
  const [tiled] = graph.add("tile", [constant], { reps: [3] });
  const values = [fill, graph.add("reshape", [fill], { shape: [6] })[0], tiled, two, x];
  assert.deepEqual(values.map((id) => uniformValue(graph, id)), [5, 5, -0, undefined, undefined]);
});

Deno.test("verifyGraph() takes a graph that Graph.add made", () => verifyGraph(example()));

/** What someone could do to a graph around `Graph.add`. */
const BROKEN: Record<string, { message: RegExp; graph: () => Graph }> = {
  "reads a value before it is made": {
    message: /^neg reads %2 before it is made$/,
    graph: () => withNodes((x) => [neg(2, 1), neg(x, 2)]),
  },
  "reads a value that nothing makes": {
    message: /^neg reads %7 before it is made$/,
    graph: () => withNodes(() => [neg(7, 1)]),
  },
  "stores another type than is made": {
    message: /^%2 = neg is stored as float32\[3\] but makes float32\[2\]$/,
    graph: () => withNodes((x) => [neg(x, 2)], float(2), float(3)),
  },
  "stores more results than are made": {
    message: /^neg stores 2 results but makes 1$/,
    graph: () => withNodes((x) => [{ op: "neg", inputs: [x], attrs: {}, outputs: [1, 2] }]),
  },
  "makes a value twice": {
    message: /^neg makes %1, which is there already$/,
    graph: () => withNodes((x) => [neg(x, 1), neg(x, 1)]),
  },
  "overwrites an input": {
    message: /^neg makes %0, which is there already$/,
    graph: () => withNodes((x) => [neg(x, x)]),
  },
  "gives an output that nothing makes": {
    message: /^Output y is %2, which nothing makes$/,
    graph: () => {
      const graph = withNodes((x) => [neg(x, 1)]);
      graph.output("y", 2);
      return graph;
    },
  },
};

const neg = (input: number, output: number): Node => ({
  op: "neg",
  inputs: [input],
  attrs: {},
  outputs: [output],
});

/** A graph with an input x = %0 (2), values %1 and %2 of the given types, and some nodes. */
function withNodes(nodes: (x: number) => Node[], ...types: TensorType[]): Graph {
  const graph = new Graph();
  const x = graph.input("x", float(2));
  graph.types.push(...(types.length > 0 ? types : [float(2), float(2)]));
  graph.nodes.push(...nodes(x));
  return graph;
}

for (const [title, { message, graph }] of Object.entries(BROKEN)) {
  Deno.test(`verifyGraph() refuses a graph that ${title}`, () => {
    assert.throws(() => verifyGraph(graph()), { code: "E_GRAPH", message });
  });
}
