import { LockstepError } from "../../shared/errors.ts";
import { type Graph, type NodeOf, sizeOf } from "./graph.ts";
import type { Op, OpAttributes, TensorType, ValueId } from "./op.ts";
import {
  combine,
  combineWith,
  compare,
  elementwise,
  fold,
  foldLast,
  gather,
  gatherElements,
  oneHot,
  product,
  type ProductType,
  scale,
} from "./stablehlo_ops.ts";
import { integersText, type Operand, StablehloText } from "./stablehlo_text.ts";

export interface StablehloOptions {
  /** What matrix products multiply; they always add in float32, and everything else is float32. */
  readonly multiply: ProductType;
}

/** A text that knows how to multiply. */
class Lowering extends StablehloText {
  constructor(readonly options: StablehloOptions) {
    super();
  }
}

/** One node: what it reads, and the types that it makes. */
interface Call<K extends Op> {
  readonly inputs: readonly Operand[];
  readonly attrs: OpAttributes[K];
  readonly types: readonly TensorType[];
}

type Rule<K extends Op> = (to: Lowering, call: Call<K>) => Operand[];

/** An op that StableHLO has too, element by element. */
const direct = <K extends Op>(op: string): Rule<K> => (to, { inputs, types: [type] }) => [
  elementwise(to, op, { operands: inputs, type }),
];

const comparison = <K extends Op>(direction: Parameters<typeof compare>[1]): Rule<K> =>
(
  to,
  { inputs, types: [{ shape }] },
) => [compare(to, direction, { operands: inputs, shape })];

/** x − max(x) over the last axis. */
const belowMaximum = (to: StablehloText, x: Operand): Operand =>
  combine(to, "stablehlo.subtract", [x, foldLast(to, x, "max")]);

const meanOfLast = (to: StablehloText, x: Operand): Operand =>
  combineWith(to, "stablehlo.divide", [foldLast(to, x, "sum"), x.shape.at(-1) ?? 1]);

const RULES: { readonly [K in Op]: Rule<K> } = {
  constant: (to, { attrs: { type, data } }) => [
    data.length === 1 ? to.splat(type, data[0]) : to.reshape(to.vector(type.dtype, data), type.shape),
  ],
  fill: (to, { attrs: { type, value } }) => [to.splat(type, value)],
  range: (to, { attrs: { start, step }, types: [type] }) => [
    combineWith(to, "stablehlo.add", [scale(to, to.iota(type, 0), step), start]),
  ],
  neg: direct("stablehlo.negate"),
  exp: direct("stablehlo.exponential"),
  log: direct("stablehlo.log"),
  sqrt: direct("stablehlo.sqrt"),
  reciprocal: (to, { inputs: [x] }) => [to.emit("stablehlo.divide", [to.splat(x, 1), x], { type: x })],
  tanh: direct("stablehlo.tanh"),
  erf: direct("chlo.erf"),
  sigmoid: direct("stablehlo.logistic"),
  relu: (to, { inputs: [x] }) => [combineWith(to, "stablehlo.maximum", [x, 0])],
  abs: direct("stablehlo.abs"),
  sign: direct("stablehlo.sign"),
  floor: direct("stablehlo.floor"),
  ceil: direct("stablehlo.ceil"),
  sin: direct("stablehlo.sine"),
  cos: direct("stablehlo.cosine"),
  not: direct("stablehlo.not"),
  add: direct("stablehlo.add"),
  sub: direct("stablehlo.subtract"),
  mul: direct("stablehlo.multiply"),
  div: direct("stablehlo.divide"),
  max: direct("stablehlo.maximum"),
  min: direct("stablehlo.minimum"),
  pow: direct("stablehlo.power"),
  equal: comparison("EQ"),
  notEqual: comparison("NE"),
  less: comparison("LT"),
  lessEqual: comparison("LE"),
  greater: comparison("GT"),
  greaterEqual: comparison("GE"),
  and: direct("stablehlo.and"),
  or: direct("stablehlo.or"),
  select: direct("stablehlo.select"),
  // A number is true unless it is 0, which a conversion to i1 does not promise.
  cast: (to, { inputs: [x], attrs: { dtype } }) => [
    dtype === "bool" && x.dtype !== "bool"
      ? compare(to, "NE", { operands: [x, to.splat(x, 0)], shape: x.shape })
      : to.convert(x, dtype),
  ],
  reshape: (to, { inputs: [x], attrs }) => [to.reshape(x, attrs.shape)],
  transpose: (to, { inputs, attrs, types: [type] }) => [
    to.emit("stablehlo.transpose", inputs, { type, attributes: { permutation: integersText(attrs.perm) } }),
  ],
  slice: (to, { inputs: [x], attrs }) => [to.slice(x, attrs)],
  concat: (to, { inputs, attrs: { axis } }) => [to.concat(inputs, axis)],
  split: (to, { inputs: [x], attrs: { axis, sizes } }) => {
    let next = 0;
    return sizes.map((size) => {
      const begin = x.shape.map((_, a) => a === axis ? next : 0);
      next += size;
      return to.slice(x, { begin, size: x.shape.with(axis, size) });
    });
  },
  pad: (to, { inputs: [x], attrs }) => [to.pad(x, attrs)],
  tile: (to, { inputs: [x], attrs: { reps }, types: [type] }) => {
    const apart = x.shape.flatMap((size, axis) => [reps[axis], size]);
    return [to.reshape(to.broadcast(x, apart, x.shape.map((_, axis) => 2 * axis + 1)), type.shape)];
  },
  gather: (to, { inputs, attrs: { axis }, types: [type] }) => [gather(to, inputs, { axis, type })],
  gatherElements: (to, { inputs, types: [type] }) => [gatherElements(to, inputs, { type })],
  // A scatter that adds races on GPUs, and sums in another order each time; this product has one order.
  segmentSum: (to, { inputs: [x, ids], attrs: { count }, types: [{ dtype, shape }] }) => {
    const [rows, width] = [x.shape[0], sizeOf({ dtype, shape }) / count];
    const sum = product(to, [oneHot(to, ids, count), to.reshape(x, [rows, width])], {
      type: { dtype, shape: [count, width] },
      transposeA: true,
      transposeB: false,
      alpha: 1,
      multiply: to.options.multiply,
    });
    return [to.reshape(sum, shape)];
  },
  oneHot: (to, { inputs: [indices], attrs }) => [oneHot(to, indices, attrs.depth)],
  reduceSum: (to, { inputs: [x], attrs }) => [fold(to, x, { by: "sum", ...attrs })],
  reduceMean: (to, { inputs: [x], attrs }) => [
    combineWith(to, "stablehlo.divide", [
      fold(to, x, { by: "sum", ...attrs }),
      attrs.axes.reduce((count, axis) => count * x.shape[axis], 1),
    ]),
  ],
  reduceMax: (to, { inputs: [x], attrs }) => [fold(to, x, { by: "max", ...attrs })],
  matMul: (to, { inputs, attrs, types: [type] }) => [
    product(to, inputs, { ...attrs, type, ...to.options }),
  ],
  gemm: (to, { inputs: [a, b, c], attrs, types: [type] }) => [
    combine(to, "stablehlo.add", [product(to, [a, b], { ...attrs, type, ...to.options }), c]),
  ],
  softmax: (to, { inputs: [x] }) => {
    const powers = to.emit("stablehlo.exponential", [belowMaximum(to, x)], { type: x });
    return [combine(to, "stablehlo.divide", [powers, foldLast(to, powers, "sum")])];
  },
  logSoftmax: (to, { inputs: [x] }) => {
    const below = belowMaximum(to, x);
    const sum = foldLast(to, to.emit("stablehlo.exponential", [below], { type: x }), "sum");
    return [combine(to, "stablehlo.subtract", [below, to.emit("stablehlo.log", [sum], { type: sum })])];
  },
  normalize: (to, { inputs: [x], attrs: { epsilon } }) => {
    const centered = combine(to, "stablehlo.subtract", [x, meanOfLast(to, x)]);
    const variance = meanOfLast(to, to.emit("stablehlo.multiply", [centered, centered], { type: x }));
    const safe = combineWith(to, "stablehlo.add", [variance, epsilon]);
    const deviation = to.emit("stablehlo.sqrt", [safe], { type: safe });
    const r = to.emit("stablehlo.divide", [to.splat(safe, 1), deviation], { type: safe });
    return [combine(to, "stablehlo.multiply", [centered, r]), r];
  },
};

/**
 * The graph as the text of a StableHLO module, whose function `main` takes the inputs and returns the outputs in their
 * order. An output of an input's name replaces it: the input's buffer is given away and becomes the output's. Every sum
 * has one order, on GPUs too.
 */
export function lowerStablehlo(graph: Graph, options: StablehloOptions): string {
  const to = new Lowering(options);
  const values = new Map<ValueId, Operand>();
  const operand = (id: ValueId): Operand => {
    const found = values.get(id);
    if (found === undefined) {
      throw new LockstepError("E_GRAPH", `Cannot lower the graph as %${id} is read before it is made`);
    }
    return found;
  };
  for (const { name, value } of graph.inputs) {
    const replacedBy = graph.outputs.findIndex((output) => output.name === name);
    values.set(value, to.input(graph.type(value), replacedBy < 0 ? {} : { replacedBy }));
  }
  for (const node of graph.nodes) {
    const types = node.outputs.map((id) => graph.type(id));
    const made = lowerNode(to, node, { inputs: node.inputs.map(operand), types });
    node.outputs.forEach((id, i) => values.set(id, made[i]));
  }
  return to.module(graph.outputs.map(({ value }) => operand(value)));
}

function lowerNode<K extends Op>(
  to: Lowering,
  { op, attrs }: NodeOf<K>,
  { inputs, types }: { inputs: readonly Operand[]; types: readonly TensorType[] },
): Operand[] {
  const rule = RULES[op as K] as Rule<K>;
  return rule(to, { inputs, attrs: attrs as OpAttributes[K], types });
}
