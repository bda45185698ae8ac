import { LockstepError } from "../../shared/errors.ts";
import type { DType, Op, OpAttributes, TensorType } from "./op.ts";

type Rule<Attributes> = (inputs: readonly TensorType[], attrs: Attributes) => TensorType[];

const FLOAT: readonly DType[] = ["float32"];
const NUMBER: readonly DType[] = ["float32", "int32"];
const BOOL: readonly DType[] = ["bool"];
const ANY: readonly DType[] = ["float32", "int32", "bool"];

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
    const size = sizes.find((s) => s !== 1) ?? 1;
    need(sizes.every((s) => s === size || s === 1), op, "shapes that broadcast", inputs);
    result.push(size);
  }
  return result;
}

const count = (op: string, inputs: readonly TensorType[], n: number) =>
  need(inputs.length === n, op, n === 1 ? "one operand" : `${n} operands`, inputs);

/** An element-wise op of one operand. */
const unary = (op: string, dtypes: readonly DType[]): Rule<OpAttributes["exp"]> => (inputs) => {
  count(op, inputs, 1);
  need(dtypes.includes(inputs[0].dtype), op, dtypes.join(" or "), inputs);
  return [inputs[0]];
};

const binary = (op: string, dtypes: readonly DType[]): Rule<OpAttributes["add"]> => (inputs) => {
  need(inputs.length === 2 && inputs[0].dtype === inputs[1].dtype, op, "two operands of one dtype", inputs);
  need(dtypes.includes(inputs[0].dtype), op, dtypes.join(" or "), inputs);
  return [{ dtype: inputs[0].dtype, shape: broadcast(op, inputs) }];
};

const comparison = (op: string, dtypes: readonly DType[]): Rule<OpAttributes["add"]> => (inputs) => {
  const [type] = binary(op, dtypes)(inputs, {});
  return [{ dtype: "bool", shape: type.shape }];
};

const reduce = (op: string, dtypes: readonly DType[]): Rule<OpAttributes["reduceSum"]> => (inputs, attrs) => {
  const [x] = unary(op, dtypes)(inputs, {});
  const { axes, keepDims } = attrs;
  need(axes.every((axis) => hasAxis(x, axis)), op, "axes within the rank", [x]);
  const shape = keepDims
    ? x.shape.map((size, axis) => axes.includes(axis) ? 1 : size)
    : x.shape.filter((_, axis) => !axes.includes(axis));
  return [{ dtype: x.dtype, shape }];
};

/** An op over the last axis. */
const overLastAxis = (op: string): Rule<OpAttributes["softmax"]> => (inputs) => {
  const [x] = unary(op, FLOAT)(inputs, {});
  need(x.shape.length > 0, op, "an operand with an axis", inputs);
  return [x];
};

const matrixProduct = (op: string): Rule<OpAttributes["matMul"]> => (inputs, { transposeA, transposeB }) => {
  count(op, inputs, 2);
  const [a, b] = inputs;
  const rank = a.shape.length;
  need(a.dtype === "float32" && b.dtype === "float32", op, "float32", inputs);
  need(rank >= 2 && b.shape.length === rank, op, "two operands of one rank ≥ 2", inputs);
  const batch = broadcast(op, [a, b].map(({ dtype, shape }) => ({ dtype, shape: shape.slice(0, -2) })));
  const [m, k] = transposeA ? [a.shape[rank - 1], a.shape[rank - 2]] : [a.shape[rank - 2], a.shape[rank - 1]];
  const [k2, n] = transposeB
    ? [b.shape[rank - 1], b.shape[rank - 2]]
    : [b.shape[rank - 2], b.shape[rank - 1]];
  need(k === k2, op, "equal inner sizes", inputs);
  return [{ dtype: a.dtype, shape: [...batch, m, n] }];
};

const hasAxis = ({ shape }: TensorType, axis: number) =>
  Number.isInteger(axis) && axis >= 0 && axis < shape.length;

const total = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

const RULES: { readonly [K in Op]: Rule<OpAttributes[K]> } = {
  constant: (_, { type, data }) => {
    need(data.length === total(type.shape), "constant", `${total(type.shape)} elements`, [type]);
    return [type];
  },
  fill: (_, { type }) => [type],
  range: (_, { dtype, length }) => [{ dtype, shape: [length] }],
  neg: unary("neg", NUMBER),
  exp: unary("exp", FLOAT),
  log: unary("log", FLOAT),
  sqrt: unary("sqrt", FLOAT),
  reciprocal: unary("reciprocal", FLOAT),
  tanh: unary("tanh", FLOAT),
  erf: unary("erf", FLOAT),
  sigmoid: unary("sigmoid", FLOAT),
  relu: unary("relu", NUMBER),
  abs: unary("abs", NUMBER),
  sign: unary("sign", NUMBER),
  floor: unary("floor", FLOAT),
  ceil: unary("ceil", FLOAT),
  sin: unary("sin", FLOAT),
  cos: unary("cos", FLOAT),
  not: unary("not", BOOL),
  add: binary("add", NUMBER),
  sub: binary("sub", NUMBER),
  mul: binary("mul", NUMBER),
  div: binary("div", NUMBER),
  max: binary("max", NUMBER),
  min: binary("min", NUMBER),
  pow: binary("pow", NUMBER),
  equal: comparison("equal", ANY),
  notEqual: comparison("notEqual", ANY),
  less: comparison("less", NUMBER),
  lessEqual: comparison("lessEqual", NUMBER),
  greater: comparison("greater", NUMBER),
  greaterEqual: comparison("greaterEqual", NUMBER),
  and: binary("and", BOOL),
  or: binary("or", BOOL),
  select: (inputs) => {
    count("select", inputs, 3);
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
    need(inputs.length > 0 && hasAxis(inputs[0], axis), "concat", `operands with an axis ${axis}`, inputs);
    const [first] = inputs;
    const fits = inputs.every(({ shape, dtype }) =>
      dtype === first.dtype && shape.length === first.shape.length &&
      shape.every((n, a) => a === axis || n === first.shape[a])
    );
    need(fits, "concat", `one dtype and equal axes other than ${axis}`, inputs);
    const size = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
    return [{ dtype: first.dtype, shape: first.shape.with(axis, size) }];
  },
  split: ([x], { axis, sizes }) => {
    need(
      hasAxis(x, axis) && sizes.reduce((a, b) => a + b, 0) === x.shape[axis],
      "split",
      `sizes that add up on axis ${axis}`,
      [x],
    );
    return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) }));
  },
  pad: ([x], { before, after }) => {
    const fits = [before, after].every((list) => list.length === x.shape.length && list.every((n) => n >= 0));
    need(fits, "pad", "a count ≥ 0 before and after each axis", [x]);
    return [{ dtype: x.dtype, shape: x.shape.map((size, axis) => before[axis] + size + after[axis]) }];
  },
  tile: ([x], { reps }) => {
    need(reps.length === x.shape.length, "tile", "a count for each axis", [x]);
    return [{ dtype: x.dtype, shape: x.shape.map((size, axis) => size * reps[axis]) }];
  },
  gather: (inputs, { axis }) => {
    count("gather", inputs, 2);
    const [x, indices] = inputs;
    need(indices.dtype === "int32", "gather", "int32 indices", inputs);
    need(hasAxis(x, axis), "gather", `an operand with an axis ${axis}`, inputs);
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return [{ dtype: x.dtype, shape }];
  },
  gatherElements: (inputs) => {
    count("gatherElements", inputs, 2);
    const [x, indices] = inputs;
    need(indices.dtype === "int32", "gatherElements", "int32 indices", inputs);
    const leading = (type: TensorType) => type.shape.slice(0, -1).join();
    need(
      x.shape.length > 0 && x.shape.length === indices.shape.length && leading(x) === leading(indices),
      "gatherElements",
      "equal axes other than the last",
      inputs,
    );
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  segmentSum: (inputs, { count: segments }) => {
    count("segmentSum", inputs, 2);
    const [x, ids] = inputs;
    const fits = ids.dtype === "int32" && ids.shape.length === 1 && ids.shape[0] === x.shape[0];
    need(x.dtype === "float32" && fits, "segmentSum", "float32 and one int32 id a row", inputs);
    return [{ dtype: x.dtype, shape: [segments, ...x.shape.slice(1)] }];
  },
  oneHot: ([indices], { depth }) => {
    need(indices.dtype === "int32", "oneHot", "int32 indices", [indices]);
    return [{ dtype: "float32", shape: [...indices.shape, depth] }];
  },
  reduceSum: reduce("reduceSum", NUMBER),
  reduceMean: reduce("reduceMean", FLOAT),
  reduceMax: reduce("reduceMax", NUMBER),
  matMul: matrixProduct("matMul"),
  gemm: (inputs, attrs) => {
    count("gemm", inputs, 3);
    const [a, b, c] = inputs;
    need(a.shape.length === 2 && c.dtype === "float32", "gemm", "float32 matrices", inputs);
    const [product] = matrixProduct("gemm")([a, b], attrs);
    const wide = broadcast("gemm", [product, c]);
    need(`${wide}` === `${product.shape}`, "gemm", "a sum of the product's shape", inputs);
    return [product];
  },
  softmax: overLastAxis("softmax"),
  logSoftmax: overLastAxis("logSoftmax"),
  normalize: (inputs) => {
    const [x] = overLastAxis("normalize")(inputs, {});
    return [x, { dtype: x.dtype, shape: x.shape.with(-1, 1) }];
  },
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
