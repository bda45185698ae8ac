import assert from "node:assert/strict";
import type { Graph } from "../../../../worker/compiler/graph.ts";
import { transposeForProduct } from "../../../../worker/compiler/passes/transpose_for_product.ts";
import { assertSameResults, build, float, printed } from "./pass_support.ts";

/** aᵀ·b · 2 of K rows, M and N columns. */
const weightGradient = (K: number, M: number, N: number): Graph =>
  build({ a: float(K, M), b: float(K, N) }, ({ a, b }, emit) => ({
    y: emit("matMul", [a, b], { transposeA: true, transposeB: false, alpha: 2 }),
  }));

async function assertTransposed(graph: Graph, text: string): Promise<void> {
  const transposed = transposeForProduct(graph);
  assert.equal(printed(transposed), text);
  await assertSameResults(graph, transposed);
}

Deno.test("transposeForProduct() transposes the first operand where that moves less", () =>
  assertTransposed(
    weightGradient(4, 2, 2000),
    `\
input a: float32[4,2]
input b: float32[4,2000]
%0: float32[2,4] = transpose(a, perm=[1,0])
%1: float32[2,2000] = matMul(%0, b, transposeA=false, transposeB=false, alpha=2)
output y = %1
`,
  ));

Deno.test("transposeForProduct() transposes the second and the result where that moves less", () =>
  assertTransposed(
    weightGradient(600, 500, 1),
    `\
input a: float32[600,500]
input b: float32[600,1]
%0: float32[1,600] = transpose(b, perm=[1,0])
%1: float32[1,500] = matMul(%0, a, transposeA=false, transposeB=false, alpha=2)
%2: float32[500,1] = transpose(%1, perm=[1,0])
output y = %2
`,
  ));

Deno.test("transposeForProduct() leaves a product too small to gain from a transpose", () => {
  const graph = weightGradient(8, 2, 3);
  return assertTransposed(graph, printed(graph));
});

for (const [transposeA, transposeB] of [[false, false], [false, true], [true, true]]) {
  Deno.test(`transposeForProduct() leaves a product with transposeA ${transposeA}, transposeB ${transposeB}`, () => {
    const graph = build({ a: float(3, 3), b: float(3, 3) }, ({ a, b }, emit) => ({
      y: emit("matMul", [a, b], { transposeA, transposeB, alpha: 1 }),
    }));
    return assertTransposed(graph, printed(graph));
  });
}

Deno.test("transposeForProduct() leaves products of more than two axes", () => {
  const graph = build({ a: float(2, 3, 4), b: float(2, 3, 5) }, ({ a, b }, emit) => ({
    y: emit("matMul", [a, b], { transposeA: true, transposeB: false, alpha: 1 }),
  }));
  return assertTransposed(graph, printed(graph));
});
