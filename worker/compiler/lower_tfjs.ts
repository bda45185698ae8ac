import { LockstepError } from "../../shared/errors.ts";
import type { Graph, Node, NodeOf } from "./graph.ts";
import type { DType, Op, TensorType, ValueId } from "./op.ts";

/** A constant or weight of a graph model; its numbers stand in a file of their own. */
export interface TfjsWeight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[] | Float32Array<ArrayBuffer>;
}

type Attribute = Readonly<Record<string, unknown>>;

/** A node as TensorFlow's GraphDef has it in JSON. */
export interface TfjsNode {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Readonly<Record<string, Attribute>>;
}

/** What `tf.loadGraphModel` reads as modelTopology and signature, and the weights that it wants beside them. */
export interface TfjsModel {
  readonly nodes: readonly TfjsNode[];
  readonly weights: readonly TfjsWeight[];
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
}

const TYPE: Readonly<Record<DType, string>> = { float32: "DT_FLOAT", int32: "DT_INT32", bool: "DT_BOOL" };

const type = (dtype: DType): Attribute => ({ type: TYPE[dtype] });
const bool = (b: boolean): Attribute => ({ b });
const int = (i: number): Attribute => ({ i: `${i}` });
const dimensions = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size: `${size}` })) });

class Lowering {
  readonly nodes: TfjsNode[] = [];
  readonly weights: TfjsWeight[] = [];
  readonly #names = new Map<ValueId, string>();

  constructor(readonly graph: Graph) {}

  type(value: ValueId): TensorType {
    return this.graph.type(value);
  }

  name(value: ValueId): string {
    const name = this.#names.get(value);
    if (name === undefined) throw new RangeError(`Cannot lower: %${value} is read before it is made`);
    return name;
  }

  rename(value: ValueId, name: string): void {
    this.#names.set(value, name);
  }

  node(op: string, input: readonly string[], attr: Readonly<Record<string, Attribute>> = {}): string {
    const name = `n${this.nodes.length}`;
    this.nodes.push({ name, op, input, attr });
    return name;
  }

  weight(weight: TfjsWeight): string {
    const { name, dtype, shape } = weight;
    const tensor = { dtype: TYPE[dtype], tensorShape: dimensions(shape) };
    this.nodes.push({ name, op: "Const", input: [], attr: { dtype: type(dtype), value: { tensor } } });
    this.weights.push(weight);
    return name;
  }

  constant(dtype: DType, shape: readonly number[], data: readonly number[]): string {
    return this.weight({ name: `c${this.weights.length}`, dtype, shape, data });
  }

  ints(values: readonly number[]): string {
    return this.constant("int32", [values.length], values);
  }

  int(value: number): string {
    return this.constant("int32", [], [value]);
  }

  float(value: number): string {
    return this.constant("float32", [], [value]);
  }
}

/** Gives the name of the node that makes the first output, or of each output. */
type Rule<K extends Op> = (to: Lowering, node: NodeOf<K>, inputs: string[]) => string | string[];

const direct = <K extends Op>(op: string): Rule<K> => (to, node, inputs) =>
  to.node(op, inputs, { T: type(to.type(node.inputs[0] ?? node.outputs[0]).dtype) });

type Reduction = NodeOf<"reduceSum"> | NodeOf<"reduceMean"> | NodeOf<"reduceMax">;
const reduction = (op: string) => (to: Lowering, { attrs }: Reduction, [x]: string[]) =>
  to.node(op, [x, to.ints(attrs.axes)], { keep_dims: bool(attrs.keepDims) });

/** Ops that gradients need, and programs that only compute forward do not. */
const refused = <K extends Op>(op: K): Rule<K> => () => {
  throw new LockstepError(
    "E_UNSUPPORTED_OP",
    `Cannot export the op ${op} as tfjs as its graph models have none like it: take --format=onnx`,
  );
};

const product: Rule<"matMul"> = (to, { attrs }, inputs) => {
  const { transposeA, transposeB, alpha } = attrs;
  const made = to.node("BatchMatMulV2", inputs, { adj_x: bool(transposeA), adj_y: bool(transposeB) });
  return alpha === 1 ? made : to.node("Mul", [made, to.float(alpha)]);
};

const RULES: { readonly [K in Op]: Rule<K> } = {
  constant: (to, { attrs }) => to.constant(attrs.type.dtype, attrs.type.shape, attrs.data),
  fill: (to, { attrs }) =>
    to.node("Fill", [to.ints(attrs.type.shape), to.constant(attrs.type.dtype, [], [attrs.value])], {
      T: type(attrs.type.dtype),
    }),
  range: (to, { attrs: { dtype, start, step, length } }) => {
    const limit = start + step * (dtype === "int32" ? length : length - 0.5); // rounding cannot add one
    return to.node("Range", [start, limit, step].map((x) => to.constant(dtype, [], [x])), {
      Tidx: type(dtype),
    });
  },
  neg: direct("Neg"),
  exp: direct("Exp"),
  log: direct("Log"),
  sqrt: direct("Sqrt"),
  reciprocal: direct("Reciprocal"),
  tanh: direct("Tanh"),
  erf: direct("Erf"),
  sigmoid: direct("Sigmoid"),
  relu: direct("Relu"),
  abs: direct("Abs"),
  sign: direct("Sign"),
  floor: direct("Floor"),
  ceil: direct("Ceil"),
  sin: direct("Sin"),
  cos: direct("Cos"),
  not: direct("LogicalNot"),
  add: direct("AddV2"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("RealDiv"),
  max: direct("Maximum"),
  min: direct("Minimum"),
  pow: direct("Pow"),
  equal: direct("Equal"),
  notEqual: direct("NotEqual"),
  less: direct("Less"),
  lessEqual: direct("LessEqual"),
  greater: direct("Greater"),
  greaterEqual: direct("GreaterEqual"),
  and: direct("LogicalAnd"),
  or: direct("LogicalOr"),
  select: direct("SelectV2"),
  cast: (to, { attrs }, inputs) => to.node("Cast", inputs, { DstT: type(attrs.dtype) }),
  reshape: (to, { attrs }, [x]) => to.node("Reshape", [x, to.ints(attrs.shape)]),
  transpose: (to, { attrs }, [x]) => to.node("Transpose", [x, to.ints(attrs.perm)]),
  slice: (to, { attrs }, [x]) => to.node("Slice", [x, to.ints(attrs.begin), to.ints(attrs.size)]),
  concat: (to, { attrs }, inputs) =>
    to.node("ConcatV2", [...inputs, to.int(attrs.axis)], { N: int(inputs.length) }),
  split: (to, { attrs: { sizes, axis } }, [x]) => {
    const name = to.node("SplitV", [x, to.ints(sizes), to.int(axis)], { num_split: int(sizes.length) });
    return sizes.map((_, i) => i === 0 ? name : `${name}:${i}`);
  },
  pad: (to, { attrs: { before, after }, inputs: [value] }, [x]) => {
    const pairs = before.flatMap((size, axis) => [size, after[axis]]);
    return to.node("PadV2", [
      x,
      to.constant("int32", [before.length, 2], pairs),
      to.constant(to.type(value).dtype, [], [0]),
    ]);
  },
  tile: (to, { attrs }, [x]) => to.node("Tile", [x, to.ints(attrs.reps)]),
  gather: (to, { attrs }, [x, ids]) =>
    to.node("GatherV2", [x, ids, to.int(attrs.axis)], { batch_dims: int(0) }),
  gatherElements: refused("gatherElements"),
  segmentSum: refused("segmentSum"),
  oneHot: (to, { attrs }, [indices]) =>
    to.node("OneHot", [indices, to.int(attrs.depth), to.float(1), to.float(0)], { axis: int(-1) }),
  reduceSum: reduction("Sum"),
  reduceMean: reduction("Mean"),
  reduceMax: reduction("Max"),
  matMul: product,
  gemm: (to, { attrs, inputs: values, outputs }, [a, b, c]) => {
    const node: NodeOf<"matMul"> = { op: "matMul", inputs: values.slice(0, 2), attrs, outputs };
    return to.node("AddV2", [...[product(to, node, [a, b])].flat(), c]);
  },
  softmax: direct("Softmax"),
  logSoftmax: direct("LogSoftmax"),
  normalize: (to, { attrs }, [x]) => {
    const mean = (of: string) => to.node("Mean", [of, to.ints([-1])], { keep_dims: bool(true) });
    const centred = to.node("Sub", [x, mean(x)]);
    const variance = mean(to.node("Mul", [centred, centred]));
    const r = to.node("Rsqrt", [to.node("AddV2", [variance, to.float(attrs.epsilon)])]);
    return [to.node("Mul", [centred, r]), r];
  },
};

function lowerNode<K extends Op>(to: Lowering, node: NodeOf<K>): void {
  const rule = RULES[node.op as K] as Rule<K>;
  const made = [rule(to, node, node.inputs.map((id) => to.name(id)))].flat();
  node.outputs.forEach((id, i) => to.rename(id, made[i]));
}

/**
 * The graph as a TensorFlow.js graph model. Inputs and outputs keep their names; inputs that `weights` name become constants.
 * Throws E_UNSUPPORTED_OP for the few ops that such models lack.
 */
export function lowerTfjs(graph: Graph, weights: readonly TfjsWeight[]): TfjsModel {
  const to = new Lowering(graph);
  const known = new Map(weights.map((weight) => [weight.name, weight]));
  const describe = (name: string, { dtype, shape }: TensorType) => ({
    name: `${name}:0`,
    dtype: TYPE[dtype],
    tensorShape: dimensions(shape),
  });
  const inputs: Record<string, unknown> = {};
  for (const { name, value } of graph.inputs) {
    const { dtype, shape } = graph.type(value);
    const weight = known.get(name);
    to.rename(value, name);
    if (weight !== undefined) to.weight(weight);
    else {
      const attr = { dtype: type(dtype), shape: { shape: dimensions(shape) } };
      to.nodes.push({ name, op: "Placeholder", input: [], attr });
      inputs[name] = describe(name, graph.type(value));
    }
  }
  for (const node of graph.nodes) lowerNode(to, node as Node);
  const outputs: Record<string, unknown> = {};
  for (const { name, value } of graph.outputs) {
    const attr = { T: type(graph.type(value).dtype) };
    to.nodes.push({ name, op: "Identity", input: [to.name(value)], attr });
    outputs[name] = describe(name, graph.type(value));
  }
  return { nodes: to.nodes, weights: to.weights, inputs, outputs };
}
