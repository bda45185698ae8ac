/** The types of a graph: what values are, and the closed list of ops. */
export type DType = "float32" | "int32" | "bool";

/** The type of a value: shapes are static, in row-major order; a scalar has the shape []. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A value of a graph, by its number in `Graph.types`. */
export type ValueId = number;

type None = Record<never, never>;
type MatMulAttributes = { transposeA: boolean; transposeB: boolean; alpha: number };
type ReduceAttributes = { axes: readonly number[]; keepDims: boolean };

/** The attributes of every op: the closed list of what a graph may contain. */
export interface OpAttributes {
  /** A small tensor stored in the graph; anything large is made by `fill`, `range` and arithmetic. */
  constant: { type: TensorType; data: readonly number[] };
  fill: { type: TensorType; value: number };
  range: { dtype: DType; start: number; step: number; length: number };
  neg: None;
  exp: None;
  log: None;
  sqrt: None;
  reciprocal: None;
  tanh: None;
  erf: None;
  sigmoid: None;
  relu: None;
  abs: None;
  sign: None;
  floor: None;
  ceil: None;
  sin: None;
  cos: None;
  not: None;
  add: None;
  sub: None;
  mul: None;
  div: None;
  max: None;
  min: None;
  pow: None;
  equal: None;
  notEqual: None;
  less: None;
  lessEqual: None;
  greater: None;
  greaterEqual: None;
  and: None;
  or: None;
  /** (condition, then, else) */
  select: None;
  cast: { dtype: DType };
  reshape: { shape: readonly number[] };
  transpose: { perm: readonly number[] };
  slice: { begin: readonly number[]; size: readonly number[] };
  concat: { axis: number };
  split: { axis: number; sizes: readonly number[] };
  pad: { before: readonly number[]; after: readonly number[] };
  tile: { reps: readonly number[] };
  /** ONNX Gather: whole slices of `axis` chosen by an int32 tensor. */
  gather: { axis: number };
  /** ONNX GatherElements on the last axis: (N, V), (N, K) → (N, K). */
  gatherElements: None;
  /** Row i of (N, …) is added to row ids[i] of the result (count, …). */
  segmentSum: { count: number };
  /** The float32 result is 1 at the index and 0 elsewhere; an index outside 0 … depth−1 is undefined. */
  oneHot: { depth: number };
  reduceSum: ReduceAttributes;
  reduceMean: ReduceAttributes;
  reduceMax: ReduceAttributes;
  /** alpha · op(a) · op(b) over the last two axes; the axes before them broadcast. */
  matMul: MatMulAttributes;
  /** alpha · op(a) · op(b) + c on matrices; c broadcasts. */
  gemm: MatMulAttributes;
  /** Over the last axis, as are the two below. */
  softmax: None;
  logSoftmax: None;
  /** (x − mean) · r and r = 1/√(variance + epsilon), of the shape (…, 1): layer norm without gain and bias. */
  normalize: { epsilon: number };
}

export type Op = keyof OpAttributes;
