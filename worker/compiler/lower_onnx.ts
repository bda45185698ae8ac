import { type Graph, type Node, type NodeOf, sizeOf } from "./graph.ts";
import type { DType, Op, TensorType, ValueId } from "./op.ts";
import type { OnnxAttribute, OnnxDType, OnnxModel, OnnxNode, OnnxTensor } from "./onnx_file.ts";

export interface LowerOptions {
  /**
   * Whether ScatterND may add: it races above one thread (onnxruntime#18048), so other programs take the
   * product with a one-hot matrix.
   */
  readonly scatterAdd: boolean;
  /** Whether only operators of the ONNX standard may be used, for programs that others run. Default: false. */
  readonly portable?: boolean;
}

/** Collects ONNX nodes and constants; equal constants are stored once. */
class Lowering {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];
  private readonly names = new Map<ValueId, string>();
  private readonly stored = new Map<string, string>();
  private fresh = 0;

  constructor(readonly graph: Graph, readonly options: LowerOptions) {}

  name(value: ValueId): string {
    const name = this.names.get(value) ?? `v${value}`;
    this.names.set(value, name);
    return name;
  }

  rename(value: ValueId, name: string): void {
    this.names.set(value, name);
  }

  type(value: ValueId): TensorType {
    return this.graph.type(value);
  }

  /** Emits a node whose only output is new; returns that output's name. */
  emit(op: string, inputs: string[], attributes: Record<string, OnnxAttribute> = {}, domain = ""): string {
    const output = `t${this.fresh++}`;
    this.nodes.push({ op, inputs, outputs: [output], attributes, domain });
    return output;
  }

  /** Emits the node that makes the outputs of `node`. */
  emitFor(
    node: Node,
    op: string,
    inputs: string[],
    attributes: Record<string, OnnxAttribute> = {},
    domain = "",
  ): void {
    this.nodes.push({ op, inputs, outputs: node.outputs.map((id) => this.name(id)), attributes, domain });
  }

  constant(dtype: OnnxDType, shape: readonly number[], data: readonly number[]): string {
    const key = `${dtype}[${shape}] ${data.map((x) => Object.is(x, -0) ? "-0" : x)}`;
    const known = this.stored.get(key);
    if (known !== undefined) return known;
    const name = `c${this.constants.length}`;
    this.constants.push({ name, dtype, shape, data });
    this.stored.set(key, name);
    return name;
  }

  int64(values: readonly number[]): string {
    return this.constant("int64", [values.length], values);
  }
}

type Rule<K extends Op> = (lowering: Lowering, node: NodeOf<K>, inputs: string[]) => void;

const direct = <K extends Op>(op: string): Rule<K> => (to, node, inputs) => to.emitFor(node, op, inputs);

type Reduction = NodeOf<"reduceSum"> | NodeOf<"reduceMean"> | NodeOf<"reduceMax">;
const reduction = (op: string) => (to: Lowering, node: Reduction, [x]: string[]) => {
  const { axes, keepDims } = node.attrs;
  to.emitFor(node, op, [x, to.int64(axes)], {
    keepdims: keepDims ? 1 : 0,
    noop_with_empty_axes: 1,
  });
};

/** Up to this many equal elements are stored; more are made by ConstantOfShape. */
const SMALL_FILL = 1024;

const MICROSOFT = "com.microsoft";

const RULES: { readonly [K in Op]: Rule<K> } = {
  constant: (to, node) => {
    const { type, data } = node.attrs;
    to.rename(node.outputs[0], to.constant(type.dtype, type.shape, data));
  },
  fill: (to, node) => {
    const { type, value } = node.attrs;
    const size = sizeOf(type);
    if (size <= SMALL_FILL) {
      return to.rename(node.outputs[0], to.constant(type.dtype, type.shape, Array(size).fill(value)));
    }
    to.emitFor(node, "ConstantOfShape", [to.int64(type.shape)], {
      value: { dtype: type.dtype, shape: [1], data: [value] },
    });
  },
  range: (to, node) => {
    const { dtype, start, step, length } = node.attrs;
    const scalar = (x: number) => to.constant(dtype, [], [x]);
    // ONNX makes ⌈(limit − start) / step⌉ numbers: half a step short, rounding cannot add one.
    const limit = start + step * (dtype === "int32" ? length : length - 0.5);
    to.emitFor(node, "Range", [scalar(start), scalar(limit), scalar(step)]);
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
  not: direct("Not"),
  add: direct("Add"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("Div"),
  max: direct("Max"),
  min: direct("Min"),
  pow: direct("Pow"),
  equal: direct("Equal"),
  notEqual: (to, node, inputs) => to.emitFor(node, "Not", [to.emit("Equal", inputs)]),
  less: direct("Less"),
  lessEqual: direct("LessOrEqual"),
  greater: direct("Greater"),
  greaterEqual: direct("GreaterOrEqual"),
  and: direct("And"),
  or: direct("Or"),
  select: direct("Where"),
  cast: (to, node, inputs) => to.emitFor(node, "Cast", inputs, { to: CAST[node.attrs.dtype] }),
  reshape: (to, node, [x]) => to.emitFor(node, "Reshape", [x, to.int64(node.attrs.shape)]),
  transpose: (to, node, [x]) => {
    const { perm } = node.attrs;
    if (`${perm}` !== "1,0,2") return to.emitFor(node, "Transpose", [x], { perm });
    // ONNX Runtime moves blocks of the last axis two to three times as fast in this shape.
    const [a, b, c] = to.type(node.inputs[0]).shape;
    const apart = to.emit("Reshape", [x, to.int64([1, a, 1, b, c])]);
    const moved = to.emit("Transpose", [apart], { perm: [2, 0, 3, 1, 4] });
    to.emitFor(node, "Reshape", [moved, to.int64([b, a, c])]);
  },
  slice: (to, node, [x]) => {
    const { begin, size } = node.attrs;
    const axes = begin.map((_, axis) => axis).filter((axis) =>
      size[axis] !== to.type(node.inputs[0]).shape[axis]
    );
    const pick = (values: number[]) => to.int64(axes.map((axis) => values[axis]));
    to.emitFor(node, "Slice", [
      x,
      pick([...begin]),
      pick(begin.map((b, axis) => b + size[axis])),
      to.int64(axes),
    ]);
  },
  concat: (to, node, inputs) => to.emitFor(node, "Concat", inputs, { axis: node.attrs.axis }),
  split: (to, node, [x]) =>
    to.emitFor(node, "Split", [x, to.int64(node.attrs.sizes)], { axis: node.attrs.axis }),
  pad: (to, node, [x]) => to.emitFor(node, "Pad", [x, to.int64([...node.attrs.before, ...node.attrs.after])]),
  tile: (to, node, [x]) => to.emitFor(node, "Tile", [x, to.int64(node.attrs.reps)]),
  gather: (to, node, inputs) => to.emitFor(node, "Gather", inputs, { axis: node.attrs.axis }),
  gatherElements: (to, node, inputs) =>
    to.emitFor(node, "GatherElements", inputs, { axis: to.type(node.inputs[0]).shape.length - 1 }),
  segmentSum: (to, node, [x, ids]) => {
    const { count } = node.attrs;
    const { dtype, shape } = to.type(node.outputs[0]);
    if (to.options.scatterAdd) {
      const zeros = to.emit("ConstantOfShape", [to.int64(shape)], {
        value: { dtype, shape: [1], data: [0] },
      });
      const column = to.emit("Reshape", [to.emit("Cast", [ids], { to: INT64 }), to.int64([-1, 1])]);
      return to.emitFor(node, "ScatterND", [zeros, column, x], { reduction: "add" });
    }
    const rows = to.type(node.inputs[0]).shape[0];
    const hot = to.emit(
      "OneHot",
      [ids, to.constant("int32", [1], [count]), to.constant(dtype, [2], [0, 1])],
      { axis: -1 },
    );
    const flat = to.emit("Reshape", [x, to.int64([rows, -1])]);
    const sum = to.options.portable
      ? to.emit("MatMul", [to.emit("Transpose", [hot], { perm: [1, 0] }), flat])
      : to.emit("FusedMatMul", [hot, flat], { transA: 1, transB: 0, alpha: { float: 1 } }, MICROSOFT);
    to.emitFor(node, "Reshape", [sum, to.int64(shape)]);
  },
  oneHot: (to, node, [indices]) => {
    const values = to.constant("float32", [2], [0, 1]);
    to.emitFor(node, "OneHot", [indices, to.constant("int32", [1], [node.attrs.depth]), values], {
      axis: -1,
    });
  },
  reduceSum: reduction("ReduceSum"),
  reduceMean: reduction("ReduceMean"),
  reduceMax: reduction("ReduceMax"),
  matMul: (to, node, inputs) => {
    const { transposeA, transposeB, alpha } = node.attrs;
    if (!transposeA && !transposeB && alpha === 1) return to.emitFor(node, "MatMul", inputs);
    if (to.options.portable) return standardMatMul(to, node, inputs);
    const attributes = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: alpha } };
    to.emitFor(node, "FusedMatMul", inputs, attributes, MICROSOFT);
  },
  gemm: (to, node, inputs) => {
    const { transposeA, transposeB, alpha } = node.attrs;
    to.emitFor(node, "Gemm", inputs, {
      transA: Number(transposeA),
      transB: Number(transposeB),
      alpha: { float: alpha },
      beta: { float: 1 },
    });
  },
  softmax: (to, node, inputs) => to.emitFor(node, "Softmax", inputs, { axis: -1 }),
  logSoftmax: (to, node, inputs) => to.emitFor(node, "LogSoftmax", inputs, { axis: -1 }),
  normalize: (to, node, [x]) => {
    const channels = to.type(node.inputs[0]).shape.at(-1) ?? 1;
    const [y, r] = node.outputs.map((id) => to.name(id));
    to.nodes.push({
      op: "LayerNormalization",
      inputs: [x, to.constant("float32", [channels], Array(channels).fill(1))],
      outputs: [y, `${y}_mean`, r],
      attributes: { axis: -1, epsilon: { float: node.attrs.epsilon } },
    });
  },
};

/** A product whose transposes and factor are nodes of their own; those of constants are computed once, when it is loaded. */
const standardMatMul: Rule<"matMul"> = (to, node, [a, b]) => {
  const { transposeA, transposeB, alpha } = node.attrs;
  const turned = (x: string, rank: number) => {
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    return to.emit("Transpose", [x], { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
  };
  const [rankA, rankB] = node.inputs.map((id) => to.type(id).shape.length);
  const product = [transposeA ? turned(a, rankA) : a, transposeB ? turned(b, rankB) : b];
  if (alpha === 1) return to.emitFor(node, "MatMul", product);
  to.emitFor(node, "Mul", [to.emit("MatMul", product), to.constant("float32", [], [alpha])]);
};

const INT64 = 7;
const CAST: Record<DType, number> = { float32: 1, int32: 6, bool: 9 };

function lowerNode<K extends Op>(to: Lowering, node: NodeOf<K>): void {
  const rule = RULES[node.op as K] as Rule<K>;
  rule(to, node, node.inputs.map((id) => to.name(id)));
}

/** The graph as an ONNX model: inputs and outputs keep their names. */
export function lowerOnnx(graph: Graph, options: LowerOptions): OnnxModel {
  const to = new Lowering(graph, options);
  for (const { name, value } of graph.inputs) to.rename(value, name);
  for (const node of graph.nodes) lowerNode(to, node);
  for (const { name, value } of graph.outputs) {
    to.nodes.push({ op: "Identity", inputs: [to.name(value)], outputs: [name] });
  }
  const describe = ({ name, value }: { name: string; value: ValueId }) => ({ name, ...graph.type(value) });
  return {
    nodes: nameOutputs(to.nodes),
    constants: to.constants,
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
  };
}

/** Lets the node that makes an output carry its name, so that no Identity copies it. */
function nameOutputs(nodes: OnnxNode[]): OnnxNode[] {
  const makers = new Set(nodes.filter((node) => node.op !== "Identity").flatMap((node) => node.outputs));
  const names = new Map<string, string>();
  for (const node of nodes) {
    if (node.op === "Identity" && makers.has(node.inputs[0]) && !names.has(node.inputs[0])) {
      names.set(node.inputs[0], node.outputs[0]);
    }
  }
  const renamed = (name: string) => names.get(name) ?? name;
  return nodes
    .filter((node) => node.op !== "Identity" || names.get(node.inputs[0]) !== node.outputs[0])
    .map((node) => ({ ...node, inputs: node.inputs.map(renamed), outputs: node.outputs.map(renamed) }));
}
