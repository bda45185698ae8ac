import assert from "node:assert/strict";
import { shareCommonSubexpressions } from "../../../../worker/compiler/passes/common_subexpressions.ts";
import { assertSameResults, build, float, printed } from "./pass_support.ts";

Deno.test("shareCommonSubexpressions() computes equal nodes once, and what is made of them too", async () => {
  const graph = build({ x: float(2) }, ({ x }, emit) => {
    const twice = () => emit("add", [emit("exp", [x], {}), x], {});
    return { y: emit("mul", [twice(), twice()], {}) };
  });
  const shared = shareCommonSubexpressions(graph);
  assert.equal(
    printed(shared),
    `\
input x: float32[2]
%0: float32[2] = exp(x)
%1: float32[2] = add(%0, x)
%2: float32[2] = mul(%1, %1)
output y = %2
`,
  );
  await assertSameResults(graph, shared);
});

Deno.test("shareCommonSubexpressions() keeps apart what differs in op, order, attributes, dtype or sign of zero", () => {
  const graph = build({ x: float(2), y: float(2) }, ({ x, y }, emit) => {
    const fill = (value: number) => emit("fill", [], { type: float(), value });
    const zero = emit("fill", [], { type: { dtype: "int32", shape: [] }, value: 0 });
    const values = [
      emit("sub", [x, y], {}),
      emit("sub", [y, x], {}),
      emit("div", [x, y], {}),
      emit("slice", [x], { begin: [0], size: [1] }),
      emit("slice", [x], { begin: [1], size: [1] }),
      ...[0, -0, NaN, Infinity, -Infinity, 1].map(fill),
      zero,
    ];
    return Object.fromEntries(values.map((value, i) => [`out${i}`, value]));
  });
  assert.equal(printed(shareCommonSubexpressions(graph)), printed(graph));
});

Deno.test("shareCommonSubexpressions() shares all results of a node", () => {
  const graph = build({ x: float(4) }, ({ x }, emit) => {
    const split = () => emit("split", [x], { axis: 0, sizes: [1, 3] });
    return { a: split(), b: split() };
  });
  assert.equal(
    printed(shareCommonSubexpressions(graph)),
    `\
input x: float32[4]
%0: float32[1], %1: float32[3] = split(x, axis=0, sizes=[1,3])
output a = %0
output b = %0
`,
  );
});
