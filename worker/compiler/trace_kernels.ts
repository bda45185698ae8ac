import * as tf from "@tensorflow/tfjs";
import { LockstepError } from "../../shared/errors.ts";
import type { Graph } from "./graph.ts";
import type { DType, Op, OpAttributes, ValueId } from "./op.ts";

/** Appends to the graph what one TensorFlow.js kernel does; returns its results. */
type Kernel = (graph: Graph, inputs: ValueId[], attrs: object) => ValueId[];

type Plain = {
  [K in Op]: OpAttributes[K] extends Record<never, never> ? (keyof OpAttributes[K] extends never ? K : never)
    : never;
}[Op];

/** A kernel that is one op without attributes. */
const plain = (op: Plain): Kernel => (graph, inputs) => graph.add(op, inputs, {});

/** A dtype of TensorFlow.js, float32 where it names none. One that graphs do not know is an E_UNSUPPORTED_OP. */
export function dtypeOf(dtype: string = "float32"): DType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new LockstepError(
    "E_UNSUPPORTED_OP",
    `Cannot compile a tensor of dtype ${dtype}: float32, int32 and bool are known`,
  );
}

const shapeOf = (graph: Graph, id: ValueId) => [...graph.type(id).shape];

/** TensorFlow.js passes `axis` as a number, a list or nothing, possibly negative. */
function axesOf(graph: Graph, x: ValueId, axis: number | number[] | undefined): number[] {
  return tf.util.parseAxisParam(axis ?? shapeOf(graph, x).map((_, i) => i), shapeOf(graph, x));
}

const sum: Kernel = (graph, [x], attrs) => {
  const { axis, keepDims } = attrs as tf.SumAttrs;
  return graph.add("reduceSum", [x], { axes: axesOf(graph, x, axis), keepDims: Boolean(keepDims) });
};

/** The mean is a float32, that of integers too. */
const mean: Kernel = (graph, [x], attrs) => {
  const { axis, keepDims } = attrs as tf.MeanAttrs;
  const numbers = graph.type(x).dtype === "float32" ? [x] : graph.add("cast", [x], { dtype: "float32" });
  return graph.add("reduceMean", numbers, { axes: axesOf(graph, x, axis), keepDims: Boolean(keepDims) });
};

const max: Kernel = (graph, [x], attrs) => {
  const { reductionIndices, keepDims } = attrs as tf.MaxAttrs; // what the other reductions call axis
  return graph.add("reduceMax", [x], {
    axes: axesOf(graph, x, reductionIndices),
    keepDims: Boolean(keepDims),
  });
};

/** x > 0 ? 1 : alpha, which the gradients of relu and abs are made of. */
const step: Kernel = (graph, [x], attrs) => {
  const { alpha } = attrs as tf.StepAttrs;
  const scalar = (value: number) =>
    graph.add("fill", [], { type: { dtype: "float32", shape: [] }, value })[0];
  const positive = graph.add("greater", [x, scalar(0)], {});
  const [above] = graph.add("cast", positive, { dtype: "float32" });
  if (alpha === 0) return [above];
  return graph.add("add", [graph.add("mul", [above, scalar(1 - alpha)], {})[0], scalar(alpha)], {});
};

function reshape(graph: Graph, x: ValueId, shape: number[]): ValueId {
  return graph.add("reshape", [x], { shape })[0];
}

/** Gives both operands of a product the same rank: products broadcast leading axes of size 1. */
function sameRank(graph: Graph, x: ValueId, rank: number): ValueId {
  const shape = shapeOf(graph, x);
  return shape.length === rank ? x : reshape(graph, x, [...Array(rank - shape.length).fill(1), ...shape]);
}

const matMul: Kernel = (graph, [a, b], attrs) => {
  const { transposeA, transposeB } = attrs as tf.BatchMatMulAttrs;
  const rank = Math.max(shapeOf(graph, a).length, shapeOf(graph, b).length);
  const operands = [a, b].map((x) => sameRank(graph, x, rank));
  return graph.add("matMul", operands, {
    transposeA: Boolean(transposeA),
    transposeB: Boolean(transposeB),
    alpha: 1,
  });
};

const gather: Kernel = (graph, [x, indices], attrs) => {
  const { axis, batchDims } = attrs as tf.GatherV2Attrs;
  const [at] = axesOf(graph, x, axis);
  if (!batchDims) return graph.add("gather", [x, indices], { axis: at });
  const rank = shapeOf(graph, x).length;
  if (batchDims === at && at === rank - 1 && shapeOf(graph, indices).length === rank) {
    return graph.add("gatherElements", [x, indices], {});
  }
  throw new LockstepError(
    "E_UNSUPPORTED_OP",
    `Cannot compile tf.gather with batchDims ${batchDims} on axis ${axis}`,
  );
};

const oneHot: Kernel = (graph, [indices], attrs) => {
  const { depth, onValue, offValue, dtype } = attrs as tf.OneHotAttrs;
  if (onValue !== 1 || offValue !== 0) {
    throw new LockstepError(
      "E_UNSUPPORTED_OP",
      `Cannot compile tf.oneHot with the values ${onValue} and ${offValue}: 1 and 0 are known`,
    );
  }
  const [hot] = graph.add("oneHot", [indices], { depth });
  return dtypeOf(dtype) === "float32" ? [hot] : graph.add("cast", [hot], { dtype: dtypeOf(dtype) });
};

const like = (value: number): Kernel => (graph, [x]) => graph.add("fill", [], { type: graph.type(x), value });

const dropOnes = (reps: number[]) => reps.every((r) => r === 1);

/** What each TensorFlow.js kernel becomes. A kernel that is missing here is an E_UNSUPPORTED_OP. */
export const KERNELS: Readonly<Record<string, Kernel>> = {
  Add: plain("add"),
  Sub: plain("sub"),
  Multiply: plain("mul"),
  RealDiv: plain("div"),
  Maximum: plain("max"),
  Minimum: plain("min"),
  Pow: plain("pow"),
  Equal: plain("equal"),
  NotEqual: plain("notEqual"),
  Less: plain("less"),
  LessEqual: plain("lessEqual"),
  Greater: plain("greater"),
  GreaterEqual: plain("greaterEqual"),
  LogicalAnd: plain("and"),
  LogicalOr: plain("or"),
  LogicalNot: plain("not"),
  Neg: plain("neg"),
  Exp: plain("exp"),
  Log: plain("log"),
  Sqrt: plain("sqrt"),
  Reciprocal: plain("reciprocal"),
  Tanh: plain("tanh"),
  Erf: plain("erf"),
  Sigmoid: plain("sigmoid"),
  Relu: plain("relu"),
  Abs: plain("abs"),
  Sign: plain("sign"),
  Floor: plain("floor"),
  Ceil: plain("ceil"),
  Sin: plain("sin"),
  Cos: plain("cos"),
  Select: plain("select"),
  LogSoftmax: plain("logSoftmax"),
  Softmax: plain("softmax"),
  Sum: sum,
  Mean: mean,
  Max: max,
  Step: step,
  BatchMatMul: matMul,
  GatherV2: gather,
  OneHot: oneHot,
  OnesLike: like(1),
  ZerosLike: like(0),
  Identity: (_, [x]) => [x],
  Square: (graph, [x]) => graph.add("mul", [x, x], {}),
  SquaredDifference: (graph, operands) => {
    const [d] = graph.add("sub", operands, {});
    return graph.add("mul", [d, d], {});
  },
  Rsqrt: (graph, [x]) => graph.add("reciprocal", graph.add("sqrt", [x], {}), {}),
  AddN: (graph, [first, ...rest]) => [rest.reduce((sum, x) => graph.add("add", [sum, x], {})[0], first)],
  Cast: (graph, [x], attrs) => graph.add("cast", [x], { dtype: dtypeOf((attrs as tf.CastAttrs).dtype) }),
  Fill: (graph, _, attrs) => {
    const { shape, value, dtype } = attrs as tf.FillAttrs;
    return graph.add("fill", [], {
      type: { dtype: dtypeOf(dtype), shape },
      value: Number(value),
    });
  },
  Range: (graph, _, attrs) => {
    const { start, stop, step, dtype } = attrs as tf.RangeAttrs;
    const length = Math.max(0, Math.ceil((stop - start) / step));
    return graph.add("range", [], { dtype: dtypeOf(dtype), start, step, length });
  },
  Reshape: (graph, [x], attrs) => {
    const size = tf.util.sizeFromShape(shapeOf(graph, x));
    return [reshape(graph, x, tf.util.inferFromImplicitShape((attrs as tf.ReshapeAttrs).shape, size))];
  },
  ExpandDims: (graph, [x], attrs) => {
    const shape = shapeOf(graph, x);
    const { dim } = attrs as tf.ExpandDimsAttrs;
    return [reshape(graph, x, shape.toSpliced(dim < 0 ? dim + shape.length + 1 : dim, 0, 1))];
  },
  Transpose: (graph, [x], attrs) => graph.add("transpose", [x], { perm: (attrs as tf.TransposeAttrs).perm }),
  Slice: (graph, [x], attrs) => {
    const { begin, size } = attrs as tf.SliceAttrs;
    const shape = shapeOf(graph, x);
    const [from, count] = tf.slice_util.parseSliceParams({ shape } as tf.TensorInfo, begin, size);
    return graph.add("slice", [x], { begin: from, size: count });
  },
  Concat: (graph, inputs, attrs) => {
    const [axis] = axesOf(graph, inputs[0], (attrs as tf.ConcatAttrs).axis);
    const parts = inputs.filter((x) => graph.type(x).shape[axis] > 0);
    return graph.add("concat", parts.length > 0 ? parts : inputs.slice(0, 1), { axis });
  },
  SplitV: (graph, [x], attrs) => {
    const { numOrSizeSplits, axis } = attrs as tf.SplitVAttrs;
    const [at] = axesOf(graph, x, axis);
    const shape = shapeOf(graph, x);
    const sizes = tf.backend_util.prepareSplitSize({ shape } as tf.Tensor, numOrSizeSplits, at);
    return graph.add("split", [x], { axis: at, sizes });
  },
  PadV2: (graph, [x], attrs) => {
    const { paddings, constantValue } = attrs as tf.PadV2Attrs;
    if (constantValue !== 0) {
      throw new LockstepError(
        "E_UNSUPPORTED_OP",
        `Cannot compile tf.pad with the value ${constantValue}: 0 is known`,
      );
    }
    return graph.add("pad", [x], { before: paddings.map(([a]) => a), after: paddings.map(([, b]) => b) });
  },
  Tile: (graph, [x], attrs) => {
    const { reps } = attrs as tf.TileAttrs;
    return dropOnes(reps) ? [x] : graph.add("tile", [x], { reps });
  },
  UnsortedSegmentSum: (graph, operands, attrs) =>
    graph.add("segmentSum", operands, { count: (attrs as tf.UnsortedSegmentSumAttrs).numSegments }),
};
