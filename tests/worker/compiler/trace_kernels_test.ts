import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { KERNELS } from "../../../worker/compiler/trace_kernels.ts";
import { assertCompiles } from "./assert_compiles.ts";
import { f32, i32 } from "./run_graph.ts";

/** x (2, 3), y (3) and z (3, 2) float32, n (2, 3) int32, ids (4) int32 below 2. */
type Args = Record<"x" | "y" | "z" | "n" | "ids", tf.Tensor>;

const INPUTS = {
  x: f32([2, 3], 0.5, -1.25, 2, 0.75, -0.5, 1.5),
  y: f32([3], 1.5, 0.25, 2),
  z: f32([3, 2], 1, -2, 0.5, 3, -1, 0.25),
  n: i32([2, 3], 0, -3, 2, 1, 2, 0),
  ids: i32([4], 1, 0, 1, 1),
};

const positive = (x: tf.Tensor) => tf.add(tf.abs(x), 0.5);
const above = ({ y, z }: Args) => tf.greater(tf.reshape(z, [2, 3]), y);
const float = (x: tf.Tensor) => tf.cast(x, "float32");

/** For each kernel functions that use it; what has no gradient does not see x. */
const USES: Record<string, ((args: Args) => tf.Tensor)[]> = {
  Add: [({ x, y }) => tf.add(x, y), ({ n }) => float(tf.add(n, 1))],
  Sub: [({ x, y }) => tf.sub(y, x)],
  Multiply: [({ x, y }) => tf.mul(x, y)],
  RealDiv: [({ x, y }) => tf.div(x, y), ({ x, y }) => tf.div(y, positive(x))],
  Maximum: [({ x, y }) => tf.maximum(x, y), ({ n }) => float(tf.maximum(n, 1))],
  Minimum: [({ x, y }) => tf.minimum(y, x)],
  Pow: [({ x }) => tf.pow(positive(x), 3), ({ x, y }) => tf.pow(y, x)],
  Equal: [({ x, y }) => tf.mul(x, float(tf.equal(y, 2))), ({ n }) => float(tf.equal(n, 2))],
  NotEqual: [({ n }) => float(tf.notEqual(n, 2))],
  Less: [({ y }) => float(tf.less(y, 1.75))],
  LessEqual: [({ n }) => float(tf.lessEqual(n, 1))],
  Greater: [(args) => float(above(args))],
  GreaterEqual: [({ n }) => float(tf.greaterEqual(n, 1))],
  LogicalAnd: [(args) => float(tf.logicalAnd(above(args), tf.less(args.n, 2)))],
  LogicalOr: [(args) => float(tf.logicalOr(above(args), tf.less(args.n, 2)))],
  LogicalNot: [(args) => float(tf.logicalNot(above(args)))],
  Neg: [({ x }) => tf.neg(x)],
  Exp: [({ x }) => tf.exp(x)],
  Log: [({ x }) => tf.log(positive(x))],
  Sqrt: [({ x }) => tf.sqrt(positive(x))],
  Rsqrt: [({ x }) => tf.rsqrt(positive(x))],
  Reciprocal: [({ x }) => tf.reciprocal(x)],
  Tanh: [({ x }) => tf.tanh(x)],
  Erf: [({ x }) => tf.erf(x)],
  Sigmoid: [({ x }) => tf.sigmoid(x)],
  Relu: [({ x }) => tf.relu(x)],
  Step: [({ x }) => tf.step(x), ({ x }) => tf.step(x, 0.25)],
  Abs: [({ x }) => tf.abs(x)],
  Sign: [({ x }) => tf.sign(x)],
  Floor: [({ x }) => tf.floor(x)],
  Ceil: [({ x }) => tf.ceil(x)],
  Sin: [({ x }) => tf.sin(x)],
  Cos: [({ x }) => tf.cos(x)],
  Square: [({ x }) => tf.square(x)],
  SquaredDifference: [({ x, y }) => tf.squaredDifference(x, y)],
  Select: [(args) => tf.where(above(args), args.x, tf.mul(args.x, args.x)) as tf.Tensor],
  LogSoftmax: [({ x }) => tf.logSoftmax(x)],
  Softmax: [({ x }) => tf.softmax(x)],
  Sum: [({ x }) => tf.sum(x, 0), ({ x }) => tf.sum(x, [0, 1], true), ({ n }) => float(tf.sum(n, -1))],
  Mean: [({ x }) => tf.mean(x, 1), ({ x }) => tf.mean(x), ({ n }) => tf.mean(n, 0)],
  Max: [({ x }) => tf.max(x, 1), ({ x }) => tf.max(x, -2, true), ({ x }) => tf.max(x)],
  BatchMatMul: [
    ({ x, z }) => tf.matMul(x as tf.Tensor2D, z as tf.Tensor2D),
    ({ x }) => tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, true, false),
    ({ x, z }) => tf.matMul(tf.reshape(x, [2, 1, 3]), tf.reshape(z, [1, 2, 3]), false, true),
  ],
  GatherV2: [
    ({ x, ids }) => tf.gather(x, ids as tf.Tensor1D),
    ({ x, ids }) => tf.gather(x, ids as tf.Tensor1D, 1),
    ({ z, ids }) => tf.gather(z, tf.reshape(ids, [2, 2]) as tf.Tensor2D),
    ({ n, ids }) => float(tf.gather(n, tf.reshape(ids, [2, 2]) as tf.Tensor2D, 1, 1)),
  ],
  OneHot: [
    ({ ids }) => float(tf.oneHot(ids as tf.Tensor1D, 3)),
    ({ ids }) => tf.oneHot(ids, 3, 1, 0, "float32"),
  ],
  OnesLike: [({ x }) => tf.add(x, tf.onesLike(x))],
  ZerosLike: [({ x }) => tf.add(x, tf.zerosLike(x))],
  Identity: [({ x }) => tf.mul(tf.clone(x), x)],
  AddN: [({ x, y }) => tf.addN([x, tf.mul(x, y), tf.square(x)])],
  Cast: [({ x }) => float(tf.cast(x, "int32")), ({ n }) => float(tf.cast(n, "bool"))],
  Fill: [({ x }) => tf.mul(x, tf.fill([2, 3], 2.5)), ({ n }) => float(tf.add(n, tf.fill([3], 2, "int32")))],
  Range: [({ x }) => tf.mul(x, tf.range(0, 3)), ({ n }) => float(tf.add(n, tf.range(4, -2, -2, "int32")))],
  Reshape: [({ x }) => tf.reshape(x, [3, -1]), ({ x }) => tf.squeeze(tf.reshape(x, [1, 6]))],
  ExpandDims: [({ x }) => tf.expandDims(x, 1), ({ x }) => tf.expandDims(x, -1)],
  Transpose: [({ x }) => tf.transpose(x), ({ x }) => tf.transpose(tf.reshape(x, [1, 2, 3]), [2, 0, 1])],
  Slice: [({ x }) => tf.slice(x, [0, 1], [-1, 2]), ({ x }) => tf.slice(x, 1)],
  Concat: [
    ({ x, y }) => tf.concat([x, tf.reshape(y, [1, 3])], 0),
    ({ x }) => tf.concat([x, tf.square(x)], -1),
    ({ x }) => tf.concat([x, tf.zeros([2, 0])], 1),
  ],
  SplitV: [
    ({ x }) => tf.sub(...(tf.split(x, 2) as [tf.Tensor, tf.Tensor])),
    ({ x }) => tf.split(x, [1, -1], 1)[1],
  ],
  PadV2: [({ x }) => tf.pad(x, [[1, 0], [0, 2]])],
  Tile: [({ x }) => tf.tile(x, [2, 1]), ({ x }) => tf.tile(x, [1, 1]), ({ y }) => tf.broadcastTo(y, [2, 3])],
  UnsortedSegmentSum: [
    ({ z, ids }) => tf.unsortedSegmentSum(z, tf.slice(ids, 0, 3) as tf.Tensor1D, 2),
    ({ x }) => tf.unsortedSegmentSum(x, tf.tensor1d([3, 0], "int32"), 4),
  ],
};

Deno.test("KERNELS has a use of every kernel among these tests", () => {
  assert.deepEqual(Object.keys(USES).sort(), Object.keys(KERNELS).sort());
});

for (const [kernel, uses] of Object.entries(USES)) {
  Deno.test(`KERNELS.${kernel} compiles to what TensorFlow.js computes, its gradient too`, async () => {
    for (const use of uses) {
      await assertCompiles((args) => {
        const rest = args as Args;
        // The sine makes all gradients different; the other sum gives x a gradient where nothing else does.
        const uneven = (x: tf.Tensor) => tf.add(tf.sum(tf.sin(use({ ...rest, x }))), tf.sum(x)) as tf.Scalar;
        return { value: use(rest), grad: tf.grad(uneven)(args.x) };
      }, INPUTS);
    }
  });
}
