import { LockstepError } from "../../shared/errors.ts";
import type { Op, OpAttributes, TensorType } from "./op.ts";

type Rule<Attributes> = (inputs: readonly TensorType[], attrs: Attributes) => TensorType[];

/** Throws an E_GRAPH unless `condition` holds. */
function need(condition: boolean, op: string, requirement: string, inputs: readonly TensorType[]): void {
  if (condition) return;
  const given = inputs.map((type) => `${type.dtype}[${type.shape}]`).join(", ");
  throw new LockstepError("E_GRAPH", `Cannot apply ${op}: it needs ${requirement}, given ${given}`);
}

/** The shape of an element-wise result by NumPy's broadcasting rule. */
function broadcast(op: string, inputs: readonly TensorType[]): number[] {
  const rank = Math.max(...inputs.map((type) => type.shape.length));
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const sizes = inputs.map(({ shape }) => shape[axis - rank + shape.length] ?? 1);
    const size = Math.max(...sizes);
    need(sizes.every((s) => s === size || s === 1), op, "shapes that broadcast", inputs);
    result.push(sizes.includes(0) ? 0 : size);
  }
  return result;
}

const unary: Rule<OpAttributes["exp"]> = ([x]) => [x];

const binary = (op: string): Rule<OpAttributes["add"]> => (inputs) => {
  need(inputs.length === 2 && inputs[0].dtype === inputs[1].dtype, op, "two operands of one dtype", inputs);
  return [{ dtype: inputs[0].dtype, shape: broadcast(op, inputs) }];
};

const comparison = (op: string): Rule<OpAttributes["add"]> => (inputs) => {
  const [type] = binary(op)(inputs, {});
  return [{ dtype: "bool", shape: type.shape }];
};

const reduce = (op: string): Rule<OpAttributes["reduceSum"]> => ([x], { axes, keepDims }) => {
  need(axes.every((axis) => axis >= 0 && axis < x.shape.length), op, "axes within the rank", [x]);
  const shape = keepDims
    ? x.shape.map((size, axis) => axes.includes(axis) ? 1 : size)
    : x.shape.filter((_, axis) => !axes.includes(axis));
  return [{ dtype: x.dtype, shape }];
};

const matrixProduct = (op: string): Rule<OpAttributes["matMul"]> => (inputs, { transposeA, transposeB }) => {
  const [a, b] = inputs;
  const rank = a.shape.length;
  need(rank >= 2 && b.shape.length === rank, op, "two operands of one rank ≥ 2", inputs);
  const batch = a.shape.slice(0, -2);
  need(batch.every((size, axis) => size === b.shape[axis]), op, "equal leading axes", inputs);
  const [m, k] = transposeA ? [a.shape[rank - 1], a.shape[rank - 2]] : [a.shape[rank - 2], a.shape[rank - 1]];
  const [k2, n] = transposeB
    ? [b.shape[rank - 1], b.shape[rank - 2]]
    : [b.shape[rank - 2], b.shape[rank - 1]];
  need(k === k2, op, "equal inner sizes", inputs);
  return [{ dtype: a.dtype, shape: [...batch, m, n] }];
};

const total = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

const RULES: { readonly [K in Op]: Rule<OpAttributes[K]> } = {
  constant: (_, { type, data }) => {
    need(data.length === total(type.shape), "constant", `${total(type.shape)} elements`, [type]);
    return [type];
  },
  fill: (_, { type }) => [type],
  range: (_, { dtype, length }) => [{ dtype, shape: [length] }],
  neg: unary,
  exp: unary,
  log: unary,
  sqrt: unary,
  reciprocal: unary,
  tanh: unary,
  erf: unary,
  sigmoid: unary,
  relu: unary,
  abs: unary,
  sign: unary,
  floor: unary,
  ceil: unary,
  sin: unary,
  cos: unary,
  not: unary,
  add: binary("add"),
  sub: binary("sub"),
  mul: binary("mul"),
  div: binary("div"),
  max: binary("max"),
  min: binary("min"),
  pow: binary("pow"),
  equal: comparison("equal"),
  notEqual: comparison("notEqual"),
  less: comparison("less"),
  lessEqual: comparison("lessEqual"),
  greater: comparison("greater"),
  greaterEqual: comparison("greaterEqual"),
  and: binary("and"),
  or: binary("or"),
  select: (inputs) => {
    const [condition, a, b] = inputs;
    need(condition.dtype === "bool" && a.dtype === b.dtype, "select", "a bool and two of one dtype", inputs);
    return [{ dtype: a.dtype, shape: broadcast("select", inputs) }];
  },
  cast: ([x], { dtype }) => [{ dtype, shape: x.shape }],
  reshape: ([x], { shape }) => {
    need(total(x.shape) === total(shape), "reshape", `${total(shape)} elements for [${shape}]`, [x]);
    return [{ dtype: x.dtype, shape }];
  },
  transpose: ([x], { perm }) => {
    need(
      [...perm].sort((a, b) => a - b).join() === x.shape.map((_, i) => i).join(),
      "transpose",
      "a permutation",
      [x],
    );
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]) }];
  },
  slice: ([x], { begin, size }) => {
    const inside = x.shape.every((n, axis) => begin[axis] >= 0 && begin[axis] + size[axis] <= n);
    need(begin.length === x.shape.length && inside, "slice", `room for [${size}] at [${begin}]`, [x]);
    return [{ dtype: x.dtype, shape: size }];
  },
  concat: (inputs, { axis }) => {
    const [first] = inputs;
    const fits = inputs.every(({ shape, dtype }) =>
      dtype === first.dtype && shape.every((n, a) => a === axis || n === first.shape[a])
    );
    need(fits, "concat", `equal axes other than ${axis}`, inputs);
    const size = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
    return [{ dtype: first.dtype, shape: first.shape.with(axis, size) }];
  },
  split: ([x], { axis, sizes }) => {
    need(sizes.reduce((a, b) => a + b, 0) === x.shape[axis], "split", `sizes that add up on axis ${axis}`, [
      x,
    ]);
    return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) }));
  },
  pad: ([x], { before, after }) => [
    { dtype: x.dtype, shape: x.shape.map((size, axis) => before[axis] + size + after[axis]) },
  ],
  tile: ([x], { reps }) => [{ dtype: x.dtype, shape: x.shape.map((size, axis) => size * reps[axis]) }],
  gather: (inputs, { axis }) => {
    const [x, indices] = inputs;
    need(indices.dtype === "int32", "gather", "int32 indices", inputs);
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return [{ dtype: x.dtype, shape }];
  },
  gatherElements: (inputs) => {
    const [x, indices] = inputs;
    need(
      indices.dtype === "int32" && indices.shape.length === x.shape.length,
      "gatherElements",
      "int32 indices",
      inputs,
    );
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  segmentSum: (inputs, { count }) => {
    const [x, ids] = inputs;
    need(ids.dtype === "int32" && ids.shape.length === 1, "segmentSum", "one int32 id a row", inputs);
    return [{ dtype: x.dtype, shape: [count, ...x.shape.slice(1)] }];
  },
  oneHot: ([indices], { depth }) => {
    need(indices.dtype === "int32", "oneHot", "int32 indices", [indices]);
    return [{ dtype: "float32", shape: [...indices.shape, depth] }];
  },
  reduceSum: reduce("reduceSum"),
  reduceMean: reduce("reduceMean"),
  reduceMax: reduce("reduceMax"),
  matMul: matrixProduct("matMul"),
  gemm: (inputs, attrs) => {
    const [a, b, c] = inputs;
    need(a.shape.length === 2, "gemm", "matrices", inputs);
    const [product] = matrixProduct("gemm")([a, b], attrs);
    broadcast("gemm", [product, c]);
    return [product];
  },
  softmax: unary,
  logSoftmax: unary,
  normalize: ([x]) => [x, { dtype: x.dtype, shape: x.shape.with(-1, 1) }],
};

/** The types that `op` makes of `inputs`; inputs it cannot take are an E_GRAPH. */
export function infer<K extends Op>(
  op: K,
  inputs: readonly TensorType[],
  attrs: OpAttributes[K],
): TensorType[] {
  const rule: Rule<OpAttributes[K]> = RULES[op];
  return rule(inputs, attrs);
}
