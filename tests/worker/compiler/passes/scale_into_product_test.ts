import assert from "node:assert/strict";
import type { Graph } from "../../../../worker/compiler/graph.ts";
import type { ValueId } from "../../../../worker/compiler/op.ts";
import { scaleIntoProduct } from "../../../../worker/compiler/passes/scale_into_product.ts";
import { assertSameResults, build, type Emit, float, printed } from "./pass_support.ts";

const INPUTS = { a: float(2, 3), b: float(3, 4) };
const scalar = (emit: Emit, value: number) => emit("fill", [], { type: float(), value });
const product = (emit: Emit, a: ValueId, b: ValueId, alpha = 1) =>
  emit("matMul", [a, b], { transposeA: false, transposeB: false, alpha });

async function assertScaled(graph: Graph, text: string): Promise<void> {
  const scaled = scaleIntoProduct(graph);
  assert.equal(printed(scaled), text);
  await assertSameResults(graph, scaled);
}

const folded = (alpha: number) =>
  `\
input a: float32[2,3]
input b: float32[3,4]
%0: float32[2,4] = matMul(a, b, transposeA=false, transposeB=false, alpha=${alpha})
output y = %0
`;

Deno.test("scaleIntoProduct() moves the factor of a product into its alpha, a chain of them too", () =>
  assertScaled(
    build(INPUTS, ({ a, b }, emit) => {
      const scaled = emit("mul", [product(emit, a, b, 2), scalar(emit, 0.5)], {});
      return { y: emit("mul", [scaled, scalar(emit, 3)], {}) };
    }),
    folded(3),
  ));

Deno.test("scaleIntoProduct() moves the factors of both operands", () =>
  assertScaled(
    build(INPUTS, ({ a, b }, emit) => ({
      y: product(emit, emit("mul", [a, scalar(emit, 4)], {}), emit("mul", [b, scalar(emit, 0.25)], {}), 3),
    })),
    `\
input a: float32[2,3]
input b: float32[3,4]
%0: float32[] = fill(value=4)
%1: float32[2,3] = mul(a, %0)
%2: float32[] = fill(value=0.25)
%3: float32[3,4] = mul(b, %2)
%4: float32[2,4] = matMul(%1, %3, transposeA=false, transposeB=false, alpha=3)
output y = %4
`,
  ));

Deno.test("scaleIntoProduct() moves an operand's factor though the scaled operand is read elsewhere", () =>
  assertScaled(
    build(INPUTS, ({ a, b }, emit) => {
      const scaled = emit("mul", [a, scalar(emit, 4)], {});
      return { y: product(emit, scaled, b), scaled };
    }),
    `\
input a: float32[2,3]
input b: float32[3,4]
%0: float32[] = fill(value=4)
%1: float32[2,3] = mul(a, %0)
%2: float32[2,4] = matMul(a, b, transposeA=false, transposeB=false, alpha=4)
output y = %2
output scaled = %1
`,
  ));

Deno.test("scaleIntoProduct() looks through a reshape of the operand", () =>
  assertScaled(
    build({ a: float(6), b: float(3, 4) }, ({ a, b }, emit) => {
      const scaled = emit("mul", [a, scalar(emit, 4)], {});
      return { y: product(emit, emit("reshape", [scaled], { shape: [2, 3] }), b) };
    }),
    `\
input a: float32[6]
input b: float32[3,4]
%0: float32[2,3] = reshape(a, shape=[2,3])
%1: float32[2,4] = matMul(%0, b, transposeA=false, transposeB=false, alpha=4)
output y = %1
`,
  ));

const UNSCALED: Record<string, Graph> = {
  "of a product that is read elsewhere": build(INPUTS, ({ a, b }, emit) => {
    const y = product(emit, a, b);
    return { scaled: emit("mul", [y, scalar(emit, 2)], {}), y };
  }),
  "of a product that is read twice": build(INPUTS, ({ a, b }, emit) => {
    const y = product(emit, a, b);
    const scaled = emit("mul", [y, scalar(emit, 2)], {});
    return { y: emit("add", [scaled, y], {}) };
  }),
  "that is not known": build({ ...INPUTS, s: float() }, ({ a, b, s }, emit) => ({
    y: emit("mul", [product(emit, a, b), s], {}),
  })),
  "that would widen the product": build(INPUTS, ({ a, b }, emit) => ({
    y: emit("mul", [product(emit, a, b), emit("fill", [], { type: float(1, 1, 1), value: 2 })], {}),
  })),
  "that would widen an operand": build({ a: float(1, 3), b: float(3, 4) }, ({ a, b }, emit) => ({
    y: product(emit, emit("mul", [a, emit("fill", [], { type: float(2, 1), value: 2 })], {}), b),
  })),
};

for (const [title, graph] of Object.entries(UNSCALED)) {
  Deno.test(`scaleIntoProduct() leaves a factor ${title}`, () => assertScaled(graph, printed(graph)));
}
