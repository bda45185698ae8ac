import assert from "node:assert/strict";
import type { Graph } from "../../../../worker/compiler/graph.ts";
import { sumIntoProduct } from "../../../../worker/compiler/passes/sum_into_product.ts";
import { assertSameResults, build, float, printed } from "./pass_support.ts";

const ATTRIBUTES = { transposeA: false, transposeB: true, alpha: 0.5 };

/** a·bᵀ/2 + c for a (2, 3) and b (4, 3). */
const sum = (shape: number[], flipped = false): Graph =>
  build({ a: float(2, 3), b: float(4, 3), c: float(...shape) }, ({ a, b, c }, emit) => {
    const product = emit("matMul", [a, b], ATTRIBUTES);
    return { y: emit("add", flipped ? [c, product] : [product, c], {}) };
  });

for (const shape of [[2, 4], [1, 4], [2, 1], [1, 1], [4], [1], []]) {
  Deno.test(`sumIntoProduct() makes a gemm of a product and a summand [${shape}], in either order`, async () => {
    for (const graph of [sum(shape), sum(shape, true)]) {
      const summed = sumIntoProduct(graph);
      assert.equal(
        printed(summed),
        `\
input a: float32[2,3]
input b: float32[4,3]
input c: float32[${shape}]
%0: float32[2,4] = gemm(a, b, c, transposeA=false, transposeB=true, alpha=0.5)
output y = %0
`,
      );
      await assertSameResults(graph, summed);
    }
  });
}

Deno.test("sumIntoProduct() takes one of two products into the other", async () => {
  const graph = build({ a: float(2, 3), b: float(4, 3) }, ({ a, b }, emit) => ({
    y: emit(
      "add",
      [emit("matMul", [a, b], ATTRIBUTES), emit("matMul", [a, b], { ...ATTRIBUTES, alpha: 2 })],
      {},
    ),
  }));
  const summed = sumIntoProduct(graph);
  assert.equal(
    printed(summed),
    `\
input a: float32[2,3]
input b: float32[4,3]
%0: float32[2,4] = matMul(a, b, transposeA=false, transposeB=true, alpha=0.5)
%1: float32[2,4] = gemm(a, b, %0, transposeA=false, transposeB=true, alpha=2)
output y = %1
`,
  );
  await assertSameResults(graph, summed);
});

const UNSUMMED: Record<string, Graph> = {
  "is read elsewhere": build({ a: float(2, 3), b: float(4, 3), c: float(4) }, ({ a, b, c }, emit) => {
    const product = emit("matMul", [a, b], ATTRIBUTES);
    return { y: emit("add", [product, c], {}), product };
  }),
  "is added to itself": build({ a: float(2, 3), b: float(4, 3) }, ({ a, b }, emit) => {
    const product = emit("matMul", [a, b], ATTRIBUTES);
    return { y: emit("add", [product, product], {}) };
  }),
  "the summand repeats": build({ a: float(1, 3), b: float(4, 3), c: float(2, 4) }, ({ a, b, c }, emit) => ({
    y: emit("add", [emit("matMul", [a, b], ATTRIBUTES), c], {}),
  })),
  "has fewer axes than the summand": sum([1, 2, 4]),
  "is of more than two axes": build(
    { a: float(1, 2, 3), b: float(1, 4, 3), c: float(4) },
    ({ a, b, c }, emit) => ({
      y: emit("add", [emit("matMul", [a, b], ATTRIBUTES), c], {}),
    }),
  ),
};

for (const [title, graph] of Object.entries(UNSUMMED)) {
  Deno.test(`sumIntoProduct() leaves a product that ${title}`, async () => {
    const summed = sumIntoProduct(graph);
    assert.equal(printed(summed), printed(graph));
    await assertSameResults(graph, summed);
  });
}
