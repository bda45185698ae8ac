import assert from "node:assert/strict";
import { Graph } from "../../../worker/compiler/graph.ts";
import { lowerStablehlo } from "../../../worker/compiler/lower_stablehlo.ts";
import type { Op } from "../../../worker/compiler/op.ts";
import { openXla } from "../../../worker/engines/xla_plugin.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "../engines/xla_available.ts";
import { assertClose, graphOf } from "./graph_of_op.ts";
import { OP_EXAMPLES, type OpExample, OPS } from "./op_examples.ts";
import { f32, i32 } from "./run_graph.ts";
import { runStablehlo } from "./run_stablehlo.ts";

const float = (...shape: number[]) => ({ dtype: "float32", shape }) as const;

async function assertExample<K extends Op>(op: K, example: OpExample<K>): Promise<void> {
  const feeds = Object.fromEntries(example.inputs.map((value, i) => [`in${i}`, value]));
  const results = await runStablehlo(openXla("cpu"), { graph: graphOf(op, example), feeds });
  example.outputs.forEach((value, i) => {
    const dtype = value.dtype === "bool" ? "int32" : value.dtype;
    assertClose({ ...results[`out${i}`], dtype }, { ...value, dtype });
  });
}

Deno.test({
  name: `lowerStablehlo() makes XLA compute what each op means${XLA_SKIPPED}`,
  ignore: !XLA_AVAILABLE,
  async fn(test) {
    for (const op of OPS) {
      await test.step(op, async () => {
        for (const example of OP_EXAMPLES[op]) await assertExample(op, example);
      });
    }
  },
});

Deno.test({
  name: `lowerStablehlo() makes products of narrow numbers that add in float32${XLA_SKIPPED}`,
  ignore: !XLA_AVAILABLE,
  async fn() {
    // 1 + 2^-12 is 1 in both types; 4,096 products of 1 would stop growing at 256 in bfloat16, at 2,048 in float16.
    const [rows, count] = [2, 4096];
    const graph = graphOf("matMul", {
      inputs: [f32([rows, count]), f32([count, 1])],
      attrs: { transposeA: false, transposeB: false, alpha: 1 },
      outputs: [],
    });
    const feeds = {
      in0: f32([rows, count], ...Array(rows * count).fill(1 + 2 ** -12)),
      in1: f32([count, 1], ...Array(count).fill(1)),
    };
    const product = async (multiply: "float32" | "bfloat16" | "float16") =>
      (await runStablehlo(openXla("cpu"), { graph, feeds, options: { multiply } })).out0.data;
    assert.deepEqual(await product("float32"), [4097, 4097]);
    assert.deepEqual(await product("bfloat16"), [4096, 4096]);
    assert.deepEqual(await product("float16"), [4096, 4096]);
  },
});

Deno.test({
  name: `lowerStablehlo() gives an input's buffer to the output of its name${XLA_SKIPPED}`,
  ignore: !XLA_AVAILABLE,
  async fn() {
    const graph = new Graph();
    const x = graph.input("x", float(2));
    const y = graph.input("y", float(2));
    graph.output("sum", graph.add("add", [x, y], {})[0]);
    graph.output("x", graph.add("neg", [x], {})[0]);
    const client = openXla("cpu");
    using program = await client.compile(lowerStablehlo(graph, { multiply: "float32" }));
    const inputs = [Float32Array.of(1, 2), Float32Array.of(10, 20)].map((data) => client.upload(data, [2]));
    const [sum, negative] = await program.execute(inputs, 2);
    assert.deepEqual(await sum.read(new Float32Array(2)), Float32Array.of(11, 22));
    assert.deepEqual(await negative.read(new Float32Array(2)), Float32Array.of(-1, -2));
    assert.deepEqual(await inputs[1].read(new Float32Array(2)), Float32Array.of(10, 20));
    await assert.rejects(inputs[0].read(new Float32Array(2)), {
      code: "E_ENGINE",
      message: /donated|deleted/i,
    });
    for (const buffer of [...inputs, sum, negative]) buffer[Symbol.dispose]();
  },
});

/** The lines between the function's head and its return. */
function body(graph: Graph, multiply: "float32" | "bfloat16" = "float32"): string[] {
  return lowerStablehlo(graph, { multiply }).split("\n").slice(2, -4).map((line) => line.trim());
}

Deno.test("lowerStablehlo() writes a module whose function takes the inputs and returns the outputs", () => {
  const graph = new Graph();
  const [x, state] = [graph.input("x", float(2, 3)), graph.input("state", float(3))];
  graph.output("y", graph.add("exp", [x], {})[0]);
  graph.output("state", graph.add("add", [state, state], {})[0]);
  assert.equal(
    lowerStablehlo(graph, { multiply: "float32" }),
    `module @lockstep {
  func.func public @main(%arg0: tensor<2x3xf32>, %arg1: tensor<3xf32> {tf.aliasing_output = 1 : i32}) -> (tensor<2x3xf32>, tensor<3xf32>) {
    %0 = "stablehlo.exponential"(%arg0) : (tensor<2x3xf32>) -> tensor<2x3xf32>
    %1 = "stablehlo.add"(%arg1, %arg1) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    return %0, %1 : tensor<2x3xf32>, tensor<3xf32>
  }
}
`,
  );
});

Deno.test("lowerStablehlo() multiplies float32 without TensorFloat-32, and narrow numbers into float32", () => {
  const graph = graphOf("matMul", {
    inputs: [f32([4, 2, 3]), f32([1, 5, 2])],
    attrs: { transposeA: true, transposeB: true, alpha: 0.5 },
    outputs: [],
  });
  const numbers = "dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [0], " +
    "rhs_batching_dimensions = [0], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [2]>";
  const wide = '"stablehlo.broadcast_in_dim"(%arg1) {broadcast_dimensions = array<i64: 0, 1, 2>} : ' +
    "(tensor<1x5x2xf32>) -> tensor<4x5x2xf32>";
  assert.deepEqual(body(graph), [
    `%0 = ${wide}`,
    `%1 = "stablehlo.dot_general"(%arg0, %0) {${numbers}, precision_config = [#stablehlo<precision HIGHEST>, ` +
    "#stablehlo<precision HIGHEST>]} : (tensor<4x2x3xf32>, tensor<4x5x2xf32>) -> tensor<4x3x5xf32>",
    "%2 = stablehlo.constant dense<5.0e-1> : tensor<f32>",
    '%3 = "stablehlo.broadcast_in_dim"(%2) {broadcast_dimensions = array<i64>} : ' +
    "(tensor<f32>) -> tensor<4x3x5xf32>",
    '%4 = "stablehlo.multiply"(%1, %3) : (tensor<4x3x5xf32>, tensor<4x3x5xf32>) -> tensor<4x3x5xf32>',
  ]);
  const narrow = body(graph, "bfloat16").find((line) => line.includes("dot_general"));
  assert.match(narrow ?? "", /\(tensor<4x2x3xbf16>, tensor<4x5x2xbf16>\) -> tensor<4x3x5xf32>/);
});

Deno.test("lowerStablehlo() makes large numbers and adds segments without a scatter, which races on GPUs", () => {
  const graph = new Graph();
  graph.output("fill", graph.add("fill", [], { type: float(500, 500), value: 0.1 })[0]);
  graph.output(
    "range",
    graph.add("range", [], { dtype: "int32", start: 5, step: 1, length: 9000 })[0],
  );
  graph.output("none", graph.add("fill", [], { type: float(), value: -Infinity })[0]);
  assert.deepEqual(body(graph), [
    "%0 = stablehlo.constant dense<1.0000000149011612e-1> : tensor<500x500xf32>",
    '%1 = "stablehlo.iota"() {iota_dimension = 0 : i64} : () -> tensor<9000xi32>',
    "%2 = stablehlo.constant dense<5> : tensor<i32>",
    '%3 = "stablehlo.broadcast_in_dim"(%2) {broadcast_dimensions = array<i64>} : (tensor<i32>) -> tensor<9000xi32>',
    '%4 = "stablehlo.add"(%1, %3) : (tensor<9000xi32>, tensor<9000xi32>) -> tensor<9000xi32>',
    "%5 = stablehlo.constant dense<0xFF800000> : tensor<f32>",
  ]);
  const sum = graphOf("segmentSum", {
    inputs: [f32([4, 2]), i32([4])],
    attrs: { count: 3 },
    outputs: [],
  });
  assert.ok(!body(sum).some((line) => line.includes("scatter")));
});
