import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { type Graph, printGraph, verifyGraph } from "../../../worker/compiler/graph.ts";
import type { ValueId } from "../../../worker/compiler/op.ts";
import { optimize, PASSES } from "../../../worker/compiler/optimize.ts";
import { assertSameResults, build, type Emit, float } from "./passes/pass_support.ts";

/** Ways to make a new value of two known ones, as the passes look for them and as they do not. */
const STEPS: Record<string, (emit: Emit, a: ValueId, b: ValueId) => ValueId> = {
  add: (e, a, b) => e("add", [a, b], {}),
  sub: (e, a, b) => e("sub", [a, b], {}),
  mul: (e, a, b) => e("mul", [a, b], {}),
  tanh: (e, a) => e("tanh", [a], {}),
  zero: (e, a) => e("add", [a, e("fill", [], { type: float(), value: 0 })], {}),
  scale: (e, a) => e("mul", [a, e("fill", [], { type: float(), value: 0.5 })], {}),
  scaleLeft: (e, a) => e("mul", [e("fill", [], { type: float(1, 1, 1), value: 2 }), a], {}),
  flat: (e, a) => e("reshape", [a], { shape: [6] }),
  wide: (e, a) => e("reshape", [a], { shape: [2, 3] }),
  transpose: (e, a) => e("transpose", [a], { perm: [1, 0] }),
  product: (e, a, b) => e("matMul", [a, b], { transposeA: false, transposeB: false, alpha: 1 }),
  productA: (e, a, b) => e("matMul", [a, b], { transposeA: true, transposeB: false, alpha: 2 }),
  productB: (e, a, b) => e("matMul", [a, b], { transposeA: false, transposeB: true, alpha: 1 }),
  firstRow: (e, a) => e("slice", [a], { begin: [0, 0], size: [1, 3] }),
  padAfter: (e, a) => e("pad", [a], { before: [0, 0], after: [1, 0] }),
  padBefore: (e, a) => e("pad", [a], { before: [1, 0], after: [0, 0] }),
  sum: (e, a) => e("reduceSum", [a], { axes: [0], keepDims: true }),
  normalize: (e, a) => {
    const mean = (x: ValueId) => e("reduceMean", [x], { axes: [1], keepDims: true });
    const centred = e("sub", [a, mean(a)], {});
    const variance = mean(e("mul", [centred, centred], {}));
    const deviation = e("sqrt", [e("add", [variance, e("fill", [], { type: float(), value: 0.5 })], {})], {});
    return e("mul", [centred, e("reciprocal", [deviation], {})], {});
  },
};

type Choice = [step: string, a: number, b: number];

/** A graph of the steps that fit; the last three values are its outputs. */
function graphOf(choices: Choice[]): Graph {
  return build({ x: float(2, 3), y: float(3, 2), z: float(1, 3) }, ({ x, y, z }, emit) => {
    const values = [x, y, z];
    for (const [step, a, b] of choices) {
      try {
        values.push(STEPS[step](emit, values[a % values.length], values[b % values.length]));
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
      }
    }
    const outputs = values.slice(-3).map((value, i) => [`out${i}`, emit("neg", [value], {})]);
    return Object.fromEntries(outputs);
  });
}

const choices = fc.array(
  fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(20), fc.nat(20)) as fc.Arbitrary<Choice>,
  { minLength: 1, maxLength: 14 },
);

Deno.test("optimize() changes no result of random graphs, nor does any of its passes", async () => {
  await fc.assert(
    fc.asyncProperty(choices, async (list) => {
      const graph = graphOf(list);
      for (const pass of PASSES) verifyGraph(pass(graph));
      await assertSameResults(graph, optimize(graph), 1e-5);
    }),
    { numRuns: 300 },
  );
});

Deno.test("optimize() adds no node to what it made of a random graph", () => {
  fc.assert(fc.property(choices, (list) => {
    const once = optimize(graphOf(list));
    assert.ok(optimize(once).nodes.length <= once.nodes.length, printGraph(once));
  }));
});

Deno.test("optimize() brings an attention's scores and a residual to one node each", async () => {
  const graph = build({ q: float(4, 2), k: float(4, 2), h: float(4, 4) }, ({ q, k, h }, emit) => {
    const half = emit("fill", [], { type: float(4, 4), value: 0.5 });
    const product = emit("matMul", [q, emit("transpose", [k], { perm: [1, 0] })], {
      transposeA: false,
      transposeB: false,
      alpha: 1,
    });
    return { y: emit("add", [h, emit("mul", [half, product], {})], {}) };
  });
  const optimized = optimize(graph);
  assert.equal(
    printGraph(optimized),
    `\
input q: float32[4,2]
input k: float32[4,2]
input h: float32[4,4]
%0: float32[2,4] = transpose(k, perm=[1,0])
%1: float32[4,4] = gemm(q, %0, h, transposeA=false, transposeB=false, alpha=0.5)
output y = %1
`,
  );
  await assertSameResults(graph, optimized);
});
