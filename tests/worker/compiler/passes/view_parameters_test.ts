import assert from "node:assert/strict";
import { parseRows, viewParameters } from "../../../../worker/compiler/passes/view_parameters.ts";
import { build, float, printed } from "./pass_support.ts";

Deno.test("viewParameters() makes inputs of rows and outputs of a concatenation's parts", () => {
  const graph = build({ w: float(6, 2), x: float(3, 2) }, ({ w, x }, emit) => {
    const q = emit("slice", [w], { begin: [0, 0], size: [2, 2] });
    const k = emit("slice", [w], { begin: [2, 0], size: [4, 2] });
    return {
      y: emit("concat", [emit("neg", [q], {}), emit("exp", [k], {})], { axis: 0 }),
      z: emit("neg", [x], {}),
    };
  });
  assert.equal(
    printed(viewParameters(graph)),
    `\
input x: float32[3,2]
input w[0:2]: float32[2,2]
input w[2:6]: float32[4,2]
%0: float32[2,2] = neg(w[0:2])
%1: float32[4,2] = exp(w[2:6])
%2: float32[3,2] = neg(x)
output y[0:2] = %0
output y[2:6] = %1
output z = %2
`,
  );
});

Deno.test("viewParameters() keeps an input that is read whole too, and slices of columns", () => {
  const graph = build({ w: float(4, 2) }, ({ w }, emit) => ({
    all: emit("neg", [w], {}),
    rows: emit("neg", [emit("slice", [w], { begin: [1, 0], size: [2, 2] })], {}),
    column: emit("slice", [w], { begin: [0, 1], size: [4, 1] }),
    wide: emit("concat", [w, w], { axis: 1 }),
  }));
  assert.equal(
    printed(viewParameters(graph)),
    `\
input w: float32[4,2]
input w[1:3]: float32[2,2]
%0: float32[4,2] = neg(w)
%1: float32[2,2] = neg(w[1:3])
%2: float32[4,1] = slice(w, begin=[0,1], size=[4,1])
%3: float32[4,4] = concat(w, w, axis=1)
output all = %0
output rows = %1
output column = %2
output wide = %3
`,
  );
});

Deno.test("parseRows() reads what viewParameters() names", () => {
  assert.deepEqual(parseRows("param.h.0.weight[64:128]"), {
    name: "param.h.0.weight",
    rows: { begin: 64, end: 128 },
  });
  assert.deepEqual(parseRows("param.h.0.weight"), { name: "param.h.0.weight", rows: null });
});
