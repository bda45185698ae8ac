import type { Op, OpAttributes } from "../../../worker/compiler/op.ts";
import { bool, f32, i32, type Value } from "./run_graph.ts";

/** What an op makes of some inputs. */
export interface OpExample<K extends Op> {
  readonly inputs: readonly Value[];
  readonly attrs: OpAttributes[K];
  readonly outputs: readonly Value[];
}

/** An op without attributes and with one result: inputs and, last, the result. */
const plain = (...values: Value[]) => ({ inputs: values.slice(0, -1), attrs: {}, outputs: values.slice(-1) });

/** x and fn(x), element by element. */
const map = (fn: (x: number) => number, ...data: number[]) =>
  plain(f32([3], ...data), f32([3], ...data.map(fn)));

const truth = (...data: [number, number, number, number]) => ({
  floats: plain(f32([4], 1, 2, 2, -1), f32([4], 2, 2, 1, -1), bool([4], ...data)),
  integers: plain(i32([4], 1, 2, 2, -1), i32([4], 2, 2, 1, -1), bool([4], ...data)),
});

const product = { transposeA: false, transposeB: false, alpha: 1 };
const softmax = [Math.exp(0), Math.exp(1), Math.exp(2)].map((x) => x / (1 + Math.E + Math.E ** 2));

/** At least one example of every op, with results worked out by hand or by `Math`. */
export const OP_EXAMPLES: { readonly [K in Op]: readonly OpExample<K>[] } = {
  constant: [
    {
      inputs: [],
      attrs: { type: { dtype: "float32", shape: [2, 1] }, data: [1.5, -0] },
      outputs: [f32([2, 1], 1.5, -0)],
    },
    { inputs: [], attrs: { type: { dtype: "int32", shape: [] }, data: [7] }, outputs: [i32([], 7)] },
    { inputs: [], attrs: { type: { dtype: "bool", shape: [2] }, data: [1, 0] }, outputs: [bool([2], 1, 0)] },
  ],
  fill: [
    {
      inputs: [],
      attrs: { type: { dtype: "float32", shape: [2] }, value: 0.5 },
      outputs: [f32([2], 0.5, 0.5)],
    },
    {
      inputs: [],
      attrs: { type: { dtype: "int32", shape: [3, 700] }, value: -4 },
      outputs: [i32([3, 700], ...Array(2100).fill(-4))],
    },
  ],
  range: [
    {
      inputs: [],
      attrs: { dtype: "int32", start: 3, step: -2, length: 4 },
      outputs: [i32([4], 3, 1, -1, -3)],
    },
    {
      inputs: [],
      attrs: { dtype: "float32", start: 0, step: 0.1, length: 3 },
      outputs: [f32([3], 0, 0.1, 0.2)],
    },
    {
      inputs: [],
      attrs: { dtype: "float32", start: 1, step: 1, length: 5 },
      outputs: [f32([5], 1, 2, 3, 4, 5)],
    },
  ],
  neg: [map((x) => -x, 1, 0, -2.5), plain(i32([2], 3, -4), i32([2], -3, 4))],
  exp: [map(Math.exp, 0, 1, -200)],
  log: [map(Math.log, 1, 2, 0)],
  sqrt: [map(Math.sqrt, 0, 2, 9)],
  reciprocal: [map((x) => 1 / x, 1, -4, 0.5)],
  tanh: [map(Math.tanh, 0, 0.5, -30)],
  erf: [plain(f32([3], 0, 0.5, -2), f32([3], 0, 0.5204998778, -0.9953222650))],
  sigmoid: [map((x) => 1 / (1 + Math.exp(-x)), 0, 2, -3)],
  relu: [map((x) => Math.max(0, x), 0, 2, -3), plain(i32([2], 3, -4), i32([2], 3, 0))],
  abs: [map(Math.abs, 0, 2, -3), plain(i32([2], 3, -4), i32([2], 3, 4))],
  sign: [map(Math.sign, 0, 2, -3), plain(i32([2], 3, -4), i32([2], 1, -1))],
  floor: [map(Math.floor, 0.9, 2, -0.1)],
  ceil: [map(Math.ceil, 0.1, 2, -1.9)],
  sin: [map(Math.sin, 0, 1, -2)],
  cos: [map(Math.cos, 0, 1, -2)],
  not: [plain(bool([2], 1, 0), bool([2], 0, 1))],
  add: [
    plain(f32([2, 1], 1, 2), f32([3], 10, 20, 30), f32([2, 3], 11, 21, 31, 12, 22, 32)),
    plain(i32([2], 1, 2), i32([], 5), i32([2], 6, 7)),
  ],
  sub: [plain(f32([2], 1, 2), f32([1], 3), f32([2], -2, -1))],
  mul: [plain(f32([], 3), f32([2], 1, -2), f32([2], 3, -6))],
  div: [plain(f32([2], 1, -2), f32([2], 4, 0.5), f32([2], 0.25, -4))],
  max: [
    plain(f32([2], 1, -2), f32([], 0), f32([2], 1, 0)),
    plain(i32([2], 1, -2), i32([], 0), i32([2], 1, 0)),
  ],
  min: [
    plain(f32([2], 1, -2), f32([], 0), f32([2], 0, -2)),
    plain(i32([2], 1, -2), i32([], 0), i32([2], 0, -2)),
  ],
  pow: [plain(f32([3], 2, 9, 5), f32([3], 3, 0.5, 0), f32([3], 8, 3, 1))],
  equal: [...Object.values(truth(0, 1, 0, 1)), plain(bool([2], 1, 0), bool([2], 0, 0), bool([2], 0, 1))],
  notEqual: Object.values(truth(1, 0, 1, 0)),
  less: Object.values(truth(1, 0, 0, 0)),
  lessEqual: Object.values(truth(1, 1, 0, 1)),
  greater: Object.values(truth(0, 0, 1, 0)),
  greaterEqual: Object.values(truth(0, 1, 1, 1)),
  and: [plain(bool([4], 0, 0, 1, 1), bool([4], 0, 1, 0, 1), bool([4], 0, 0, 0, 1))],
  or: [plain(bool([4], 0, 0, 1, 1), bool([4], 0, 1, 0, 1), bool([4], 0, 1, 1, 1))],
  select: [
    plain(bool([2], 1, 0), f32([2], 1, 2), f32([2], 3, 4), f32([2], 1, 4)),
    plain(bool([2, 1], 1, 0), i32([2], 1, 2), i32([], 3), i32([2, 2], 1, 2, 3, 3)),
  ],
  cast: [
    { inputs: [f32([3], 1.9, -1.9, 0)], attrs: { dtype: "int32" }, outputs: [i32([3], 1, -1, 0)] },
    { inputs: [bool([2], 1, 0)], attrs: { dtype: "float32" }, outputs: [f32([2], 1, 0)] },
    { inputs: [i32([2], 3, 0)], attrs: { dtype: "bool" }, outputs: [bool([2], 1, 0)] },
  ],
  reshape: [
    { inputs: [f32([2, 2], 1, 2, 3, 4)], attrs: { shape: [4, 1] }, outputs: [f32([4, 1], 1, 2, 3, 4)] },
    { inputs: [i32([1, 1], 5)], attrs: { shape: [] }, outputs: [i32([], 5)] },
  ],
  transpose: [
    {
      inputs: [f32([2, 1, 3], 1, 2, 3, 4, 5, 6)],
      attrs: { perm: [2, 0, 1] },
      outputs: [f32([3, 2, 1], 1, 4, 2, 5, 3, 6)],
    },
  ],
  slice: [
    {
      inputs: [f32([2, 3], 1, 2, 3, 4, 5, 6)],
      attrs: { begin: [0, 1], size: [2, 2] },
      outputs: [f32([2, 2], 2, 3, 5, 6)],
    },
    { inputs: [i32([2], 1, 2)], attrs: { begin: [0], size: [2] }, outputs: [i32([2], 1, 2)] },
  ],
  concat: [
    {
      inputs: [f32([2, 1], 1, 2), f32([2, 2], 3, 4, 5, 6)],
      attrs: { axis: 1 },
      outputs: [f32([2, 3], 1, 3, 4, 2, 5, 6)],
    },
  ],
  split: [
    {
      inputs: [f32([2, 3], 1, 2, 3, 4, 5, 6)],
      attrs: { axis: 1, sizes: [1, 2] },
      outputs: [f32([2, 1], 1, 4), f32([2, 2], 2, 3, 5, 6)],
    },
  ],
  pad: [
    {
      inputs: [f32([1, 2], 1, 2)],
      attrs: { before: [0, 1], after: [1, 0] },
      outputs: [f32([2, 3], 0, 1, 2, 0, 0, 0)],
    },
  ],
  tile: [{
    inputs: [f32([1, 2], 1, 2)],
    attrs: { reps: [2, 2] },
    outputs: [f32([2, 4], 1, 2, 1, 2, 1, 2, 1, 2)],
  }],
  gather: [
    {
      inputs: [f32([3, 2], 1, 2, 3, 4, 5, 6), i32([2, 1], 2, 0)],
      attrs: { axis: 0 },
      outputs: [f32([2, 1, 2], 5, 6, 1, 2)],
    },
    { inputs: [i32([1, 3], 7, 8, 9), i32([2], 1, 1)], attrs: { axis: 1 }, outputs: [i32([1, 2], 8, 8)] },
  ],
  gatherElements: [plain(f32([2, 3], 1, 2, 3, 4, 5, 6), i32([2, 2], 2, 0, 1, 1), f32([2, 2], 3, 1, 5, 5))],
  segmentSum: [
    {
      inputs: [f32([4, 2], 1, 2, 3, 4, 5, 6, 7, 8), i32([4], 2, 0, 2, 2)],
      attrs: { count: 4 },
      outputs: [f32([4, 2], 3, 4, 0, 0, 13, 16, 0, 0)],
    },
    { inputs: [f32([2], 1, 2), i32([2], 1, 1)], attrs: { count: 2 }, outputs: [f32([2], 0, 3)] },
  ],
  oneHot: [{ inputs: [i32([2], 1, 0)], attrs: { depth: 3 }, outputs: [f32([2, 3], 0, 1, 0, 1, 0, 0)] }],
  reduceSum: [
    {
      inputs: [f32([2, 3], 1, 2, 3, 4, 5, 6)],
      attrs: { axes: [1], keepDims: true },
      outputs: [f32([2, 1], 6, 15)],
    },
    { inputs: [i32([2, 2], 1, 2, 3, 4)], attrs: { axes: [0, 1], keepDims: false }, outputs: [i32([], 10)] },
    { inputs: [f32([2], 1, 2)], attrs: { axes: [], keepDims: false }, outputs: [f32([2], 1, 2)] },
  ],
  reduceMean: [
    { inputs: [f32([2, 2], 1, 2, 3, 6)], attrs: { axes: [0], keepDims: false }, outputs: [f32([2], 2, 4)] },
  ],
  reduceMax: [
    {
      inputs: [f32([2, 2], 1, 2, -3, -6)],
      attrs: { axes: [1], keepDims: true },
      outputs: [f32([2, 1], 2, -3)],
    },
    { inputs: [i32([3], 1, 5, 2)], attrs: { axes: [0], keepDims: false }, outputs: [i32([], 5)] },
  ],
  matMul: [
    {
      inputs: [f32([2, 2], 1, 2, 3, 4), f32([2, 1], 5, 6)],
      attrs: product,
      outputs: [f32([2, 1], 17, 39)],
    },
    {
      inputs: [f32([1, 2, 1], 1, 2), f32([1, 3, 2], 1, 2, 3, 4, 5, 6)],
      attrs: { transposeA: true, transposeB: true, alpha: 0.5 },
      outputs: [f32([1, 1, 3], 2.5, 5.5, 8.5)],
    },
    {
      inputs: [f32([1, 1, 2], 1, 2), f32([2, 2, 1], 1, 2, 3, 4)],
      attrs: product,
      outputs: [f32([2, 1, 1], 5, 11)],
    },
    {
      inputs: [f32([2, 2, 1], 1, 2, 3, 4), f32([1, 1, 2], 1, 2)],
      attrs: { transposeA: true, transposeB: true, alpha: 2 },
      outputs: [f32([2, 1, 1], 10, 22)],
    },
  ],
  gemm: [
    {
      inputs: [f32([2, 1], 1, 2), f32([2, 2], 1, 2, 3, 4), f32([2], 10, 20)],
      attrs: { transposeA: true, transposeB: false, alpha: 2 },
      outputs: [f32([1, 2], 24, 40)],
    },
    {
      inputs: [f32([1, 2], 1, 2), f32([1, 2], 3, 4), f32([], 1)],
      attrs: { transposeA: false, transposeB: true, alpha: 1 },
      outputs: [f32([1, 1], 12)],
    },
  ],
  softmax: [plain(f32([2, 3], 0, 1, 2, 1000, 1001, 1002), f32([2, 3], ...softmax, ...softmax))],
  logSoftmax: [
    plain(f32([2, 3], 0, 1, 2, 1000, 1001, 1002), f32([2, 3], ...[...softmax, ...softmax].map(Math.log))),
  ],
  normalize: [
    {
      inputs: [f32([2, 2], 1, 3, 5, 5)],
      attrs: { epsilon: 3 },
      outputs: [f32([2, 2], -0.5, 0.5, 0, 0), f32([2, 1], 0.5, 1 / Math.sqrt(3))],
    },
  ],
};

/** Every op, each with its examples. */
export const OPS = Object.keys(OP_EXAMPLES).filter((op): op is Op => op in OP_EXAMPLES);
