import assert from "node:assert/strict";
import fc from "fast-check";
import { formatType } from "../../../worker/compiler/graph.ts";
import { infer } from "../../../worker/compiler/infer.ts";
import type { Op, OpAttributes, TensorType } from "../../../worker/compiler/op.ts";
import { OP_EXAMPLES, OPS } from "./op_examples.ts";

const typeOf = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape });

function assertExamples<K extends Op>(op: K): void {
  for (const { inputs, attrs, outputs } of OP_EXAMPLES[op]) {
    assert.deepEqual(infer(op, inputs.map(typeOf), attrs).map(formatType), outputs.map(formatType));
  }
}

for (const op of OPS) Deno.test(`infer() gives the types of ${op}'s results`, () => assertExamples(op));

const f = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
const i = (...shape: number[]): TensorType => ({ dtype: "int32", shape });
const b = (...shape: number[]): TensorType => ({ dtype: "bool", shape });
const plainProduct = { transposeA: false, transposeB: false, alpha: 1 };

function refused<K extends Op>(op: K, inputs: TensorType[], attrs: OpAttributes[K]) {
  return () => infer(op, inputs, attrs);
}

/** What is refused, what the sentence names as required, and how it ends. */
const REFUSALS: [refusal: () => TensorType[], requirement: string, given: string][] = [
  [refused("neg", [b(2)], {}), "float32 or int32", "bool[2]"],
  [refused("neg", [f(2), f(2)], {}), "one operand", "float32[2], float32[2]"],
  [refused("exp", [i(2)], {}), "float32", "int32[2]"],
  [refused("floor", [i(2)], {}), "float32", "int32[2]"],
  [refused("not", [f(2)], {}), "bool", "float32[2]"],
  [refused("add", [f(2)], {}), "two operands of one dtype", "float32[2]"],
  [refused("add", [f(2), i(2)], {}), "two operands of one dtype", "float32[2], int32[2]"],
  [refused("add", [f(2), f(3)], {}), "shapes that broadcast", "float32[2], float32[3]"],
  [refused("mul", [b(2), b(2)], {}), "float32 or int32", "bool[2], bool[2]"],
  [refused("less", [b(2), b(2)], {}), "float32 or int32", "bool[2], bool[2]"],
  [refused("equal", [f(2, 2), f(3, 2)], {}), "shapes that broadcast", "float32[2,2], float32[3,2]"],
  [refused("and", [f(2), f(2)], {}), "bool", "float32[2], float32[2]"],
  [refused("select", [b(2), f(2)], {}), "3 operands", "bool[2], float32[2]"],
  [refused("select", [f(2), f(2), f(2)], {}), "a bool and two", "float32[2], float32[2], float32[2]"],
  [refused("select", [b(2), f(2), i(2)], {}), "a bool and two", "bool[2], float32[2], int32[2]"],
  [refused("constant", [], { type: f(2), data: [1] }), "2 elements", "float32[2]"],
  [refused("reshape", [f(2, 3)], { shape: [5] }), "5 elements for [5]", "float32[2,3]"],
  [refused("transpose", [f(2, 3)], { perm: [0, 0] }), "a permutation", "float32[2,3]"],
  [refused("transpose", [f(2, 3)], { perm: [1] }), "a permutation", "float32[2,3]"],
  [refused("slice", [f(4)], { begin: [2], size: [3] }), "room for [3] at [2]", "float32[4]"],
  [refused("slice", [f(4)], { begin: [-1], size: [2] }), "room for [2] at [-1]", "float32[4]"],
  [refused("slice", [f(4, 4)], { begin: [0], size: [2] }), "room for [2] at [0]", "float32[4,4]"],
  [refused("concat", [], { axis: 0 }), "operands with an axis 0", ""],
  [
    refused("concat", [f(2, 1), f(3, 1)], { axis: 1 }),
    "equal axes other than 1",
    "float32[2,1], float32[3,1]",
  ],
  [refused("concat", [f(2), i(2)], { axis: 0 }), "one dtype", "float32[2], int32[2]"],
  [refused("concat", [f(2), f(2, 2)], { axis: 0 }), "one dtype", "float32[2], float32[2,2]"],
  [refused("concat", [f(2), f(2)], { axis: 1 }), "an axis 1", "float32[2], float32[2]"],
  [refused("split", [f(3)], { axis: 0, sizes: [1, 1] }), "sizes that add up on axis 0", "float32[3]"],
  [refused("pad", [f(3)], { before: [1, 1], after: [0] }), "a count ≥ 0", "float32[3]"],
  [refused("pad", [f(3)], { before: [-1], after: [0] }), "a count ≥ 0", "float32[3]"],
  [refused("tile", [f(3)], { reps: [1, 2] }), "a count for each axis", "float32[3]"],
  [refused("gather", [f(3), f(1)], { axis: 0 }), "int32 indices", "float32[3], float32[1]"],
  [refused("gather", [f(3), i(1)], { axis: 1 }), "an axis 1", "float32[3], int32[1]"],
  [refused("gatherElements", [f(3, 2), f(3, 1)], {}), "int32 indices", "float32[3,2], float32[3,1]"],
  [refused("gatherElements", [f(3, 2), i(2, 1)], {}), "equal axes other", "float32[3,2], int32[2,1]"],
  [refused("segmentSum", [f(3, 2), i(2)], { count: 4 }), "one int32 id a row", "float32[3,2], int32[2]"],
  [refused("segmentSum", [f(3, 2), f(3)], { count: 4 }), "one int32 id a row", "float32[3,2], float32[3]"],
  [refused("oneHot", [f(2)], { depth: 3 }), "int32 indices", "float32[2]"],
  [refused("reduceSum", [b(2)], { axes: [0], keepDims: true }), "float32 or int32", "bool[2]"],
  [refused("reduceMax", [f(2)], { axes: [1], keepDims: true }), "axes within the rank", "float32[2]"],
  [refused("reduceMean", [i(2)], { axes: [0], keepDims: true }), "float32", "int32[2]"],
  [refused("matMul", [f(2, 3), f(2, 3)], plainProduct), "equal inner sizes", "float32[2,3], float32[2,3]"],
  [refused("matMul", [f(3), f(3)], plainProduct), "two operands of one rank", "float32[3], float32[3]"],
  [refused("matMul", [f(1, 2, 3), f(3, 4)], plainProduct), "one rank", "float32[1,2,3], float32[3,4]"],
  [refused("matMul", [f(3, 2, 3), f(2, 3, 4)], plainProduct), "broadcast", "float32[3], float32[2]"],
  [refused("matMul", [i(2, 3), i(3, 2)], plainProduct), "float32", "int32[2,3], int32[3,2]"],
  [refused("gemm", [f(2, 3), f(3, 4)], plainProduct), "3 operands", "float32[2,3], float32[3,4]"],
  [
    refused("gemm", [f(1, 3), f(3, 4), f(2, 4)], plainProduct),
    "a sum of the product's shape",
    "float32[1,3], float32[3,4], float32[2,4]",
  ],
  [
    refused("gemm", [f(1, 2, 3), f(1, 3, 4), f(4)], plainProduct),
    "matrices",
    "float32[1,2,3], float32[1,3,4], float32[4]",
  ],
  [refused("softmax", [f()], {}), "an operand with an axis", "float32[]"],
  [refused("logSoftmax", [i(2)], {}), "float32", "int32[2]"],
  [refused("normalize", [f()], { epsilon: 1 }), "an operand with an axis", "float32[]"],
];

Deno.test("infer() refuses operands that an op cannot take, naming the op, the requirement and what was given", () => {
  for (const [refusal, requirement, given] of REFUSALS) {
    assert.throws(refusal, (error: Error & { code?: string }) => {
      assert.equal(error.code, "E_GRAPH");
      assert.match(error.message, /^Cannot apply \w+: it needs /);
      assert.ok(error.message.includes(requirement), `${error.message} lacks: ${requirement}`);
      assert.ok(error.message.endsWith(`given ${given}`), `${error.message} ends otherwise than: ${given}`);
      return true;
    });
  }
});

Deno.test("infer() broadcasts as NumPy does, in either order", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
  fc.assert(fc.property(sizes, fc.array(fc.boolean(), { maxLength: 4 }), (shape, ones) => {
    const narrow = shape.slice(Math.max(0, shape.length - ones.length))
      .map((size, axis) => ones[axis] ? 1 : size);
    for (const inputs of [[f(...shape), f(...narrow)], [f(...narrow), f(...shape)]]) {
      assert.deepEqual(infer("add", inputs, {}), [f(...shape)]);
      assert.deepEqual(infer("less", inputs, {}), [b(...shape)]);
    }
  }));
});

Deno.test("infer() lets an empty axis broadcast against an empty one or a single element", () => {
  assert.deepEqual(infer("add", [f(0), f(0)], {}), [f(0)]);
  assert.deepEqual(infer("add", [f(2, 0), f(1)], {}), [f(2, 0)]);
  assert.throws(() => infer("add", [f(0), f(2)], {}), { code: "E_GRAPH" });
});
