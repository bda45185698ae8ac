import assert from "node:assert/strict";
import { flattenParameters } from "../../../../worker/compiler/passes/flatten_parameters.ts";
import type { FlatParameter } from "../../../../worker/model/load_model.ts";
import { f32, runGraph } from "../run_graph.ts";
import { build, float, printed } from "./pass_support.ts";

const parameter = (name: string, shape: number[], offset: number): FlatParameter => ({
  name,
  shape,
  offset,
  size: shape.reduce((a, b) => a * b, 1),
  init: { kind: "constant", value: 0 },
});
const model = { parameters: [parameter("w", [2, 2], 0), parameter("b", [2], 4)], size: 6 };

const inputs = { "x": float(2, 2), "param.w": float(2, 2), "param.b": float(2) };

Deno.test("flattenParameters() takes parameters and gives gradients in one piece, in the parameters' order", async () => {
  const graph = build(inputs, (values, emit) => {
    const y = emit("mul", [values["param.w"], values.x], {});
    return {
      "grad.b": emit("exp", [values["param.b"]], {}),
      "y": y,
      "grad.w": emit("neg", [y], {}),
    };
  });
  const flat = flattenParameters(graph, model);
  assert.equal(
    printed(flat),
    `\
input parameters: float32[6]
input x: float32[2,2]
%0: float32[4] = slice(parameters, begin=[0], size=[4])
%1: float32[2,2] = reshape(%0, shape=[2,2])
%2: float32[2] = slice(parameters, begin=[4], size=[2])
%3: float32[2] = reshape(%2, shape=[2])
%4: float32[2,2] = mul(%1, x)
%5: float32[2] = exp(%3)
%6: float32[2,2] = neg(%4)
%7: float32[4] = reshape(%6, shape=[4])
%8: float32[2] = reshape(%5, shape=[2])
%9: float32[6] = concat(%7, %8, axis=0)
output y = %4
output gradient = %9
`,
  );
  const feeds = { parameters: f32([6], 1, 2, 3, 4, 0, 0), x: f32([2, 2], 5, 6, 7, 8) };
  const { gradient, y } = await runGraph(flat, feeds);
  assert.deepEqual(y.data, [5, 12, 21, 32]);
  assert.deepEqual(gradient.data, [-5, -12, -21, -32, 1, 1]);
});

Deno.test("flattenParameters() gives no gradient for a program without one", () => {
  const graph = build(inputs, (values, emit) => ({ y: emit("exp", [values["param.b"]], {}) }));
  assert.deepEqual(flattenParameters(graph, model).outputs.map(({ name }) => name), ["y"]);
});
