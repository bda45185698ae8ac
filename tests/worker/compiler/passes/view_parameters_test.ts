import assert from "node:assert/strict";
import { printGraph } from "../../../../worker/compiler/graph.ts";
import { parseRows, viewParameters } from "../../../../worker/compiler/passes/view_parameters.ts";
import { f32, runGraph } from "../run_graph.ts";
import { build, float } from "./pass_support.ts";

const rows = (begin: number, size: number) => ({ begin: [begin, 0], size: [size, 2] });

Deno.test("viewParameters() makes inputs of the rows that are read, once each, and outputs of those that are joined", async () => {
  const graph = build({ w: float(4, 2), x: float(2, 2) }, ({ w, x }, emit) => {
    const top = emit("slice", [w], rows(0, 2));
    const bottom = emit("slice", [w], rows(2, 2));
    const again = emit("slice", [w], rows(0, 2));
    const sum = emit("add", [emit("mul", [top, x], {}), again], {});
    return { dw: emit("concat", [sum, emit("neg", [bottom], {})], { axis: 0 }), loss: emit("exp", [x], {}) };
  });
  const viewed = viewParameters(graph, new Set(["w", "dw"]));
  assert.equal(
    printGraph(viewed),
    `\
input x: float32[2,2]
input w[0:2]: float32[2,2]
input w[2:4]: float32[2,2]
%0: float32[2,2] = mul(w[0:2], x)
%1: float32[2,2] = add(%0, w[0:2])
%2: float32[2,2] = neg(w[2:4])
%3: float32[2,2] = exp(x)
output dw[0:2] = %1
output dw[2:4] = %2
output loss = %3
`,
  );
  const [x, top, bottom] = [f32([2, 2], 1, 2, 3, 4), f32([2, 2], 5, 6, 7, 8), f32([2, 2], 9, 10, 11, 12)];
  const whole = await runGraph(graph, { x, w: f32([4, 2], ...top.data, ...bottom.data) });
  const parts = await runGraph(viewed, { x, "w[0:2]": top, "w[2:4]": bottom });
  assert.deepEqual([...parts["dw[0:2]"].data, ...parts["dw[2:4]"].data], whole.dw.data);
  assert.deepEqual(parts.loss, whole.loss);
});

Deno.test("viewParameters() keeps an input that is read as a whole too, and a part of its columns", () => {
  const graph = build({ w: float(4, 2) }, ({ w }, emit) => ({
    a: emit("neg", [w], {}),
    b: emit("slice", [w], rows(1, 3)),
    c: emit("slice", [w], { begin: [0, 1], size: [4, 1] }),
    d: emit("concat", [w, w], { axis: 1 }),
  }));
  assert.equal(
    printGraph(viewParameters(graph, new Set(["w", "d"]))),
    `\
input w: float32[4,2]
input w[1:4]: float32[3,2]
%0: float32[4,2] = neg(w)
%1: float32[4,1] = slice(w, begin=[0,1], size=[4,1])
%2: float32[4,4] = concat(w, w, axis=1)
output a = %0
output b = w[1:4]
output c = %1
output d = %2
`,
  );
});

Deno.test("viewParameters() leaves what is no parameter, used or not, and drops a parameter that nothing reads", () => {
  const graph = build({ x: float(4, 2), unused: float(1), spare: float(1) }, ({ x }, emit) => {
    const halves = [emit("slice", [x], rows(2, 2)), emit("slice", [x], rows(0, 2))];
    return { y: emit("concat", halves, { axis: 0 }) };
  });
  assert.equal(
    printGraph(viewParameters(graph, new Set(["spare"]))),
    `\
input x: float32[4,2]
input unused: float32[1]
%0: float32[2,2] = slice(x, begin=[2,0], size=[2,2])
%1: float32[2,2] = slice(x, begin=[0,0], size=[2,2])
%2: float32[4,2] = concat(%0, %1, axis=0)
output y = %2
`,
  );
});

Deno.test("parseRows() tells rows from whole names", () => {
  assert.deepEqual(parseRows("grad.h.0.weight[64:128]"), {
    name: "grad.h.0.weight",
    rows: { begin: 64, end: 128 },
  });
  for (const name of ["loss", "w[1]", "w[1:2].bias"]) assert.deepEqual(parseRows(name), { name, rows: null });
});
