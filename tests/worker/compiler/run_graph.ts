import ort from "onnxruntime-node";
import type { Graph } from "../../../worker/compiler/graph.ts";
import { lowerOnnx, type LowerOptions } from "../../../worker/compiler/lower_onnx.ts";
import { encodeOnnx } from "../../../worker/compiler/onnx_file.ts";
import type { DType } from "../../../worker/compiler/op.ts";

/** A tensor as plain data; a bool is 0 or 1. */
export interface Value {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export const f32 = (shape: readonly number[], ...data: number[]): Value => ({
  dtype: "float32",
  shape,
  data: data.map(Math.fround),
});
export const i32 = (shape: readonly number[], ...data: number[]): Value => ({ dtype: "int32", shape, data });
export const bool = (shape: readonly number[], ...data: number[]): Value => ({ dtype: "bool", shape, data });

/** Runs the graph in ONNX Runtime on one thread: the values of its outputs, by name. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Value>>,
  options: LowerOptions = { scatterAdd: true },
): Promise<Record<string, Value>> {
  const session = await ort.InferenceSession.create(encodeOnnx(lowerOnnx(graph, options)), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 3,
  });
  try {
    const inputs = graph.inputs.map(({ name }) => [name, toOrt(feeds[name])]);
    const results = await session.run(Object.fromEntries(inputs));
    return Object.fromEntries(graph.outputs.map(({ name }) => [name, fromOrt(results[name])]));
  } finally {
    await session.release();
  }
}

function toOrt({ dtype, shape, data }: Value): ort.Tensor {
  switch (dtype) {
    case "float32":
      return new ort.Tensor("float32", Float32Array.from(data), shape);
    case "int32":
      return new ort.Tensor("int32", Int32Array.from(data), shape);
    case "bool":
      return new ort.Tensor("bool", Uint8Array.from(data), shape);
  }
}

function fromOrt({ type, dims, data }: ort.Tensor): Value {
  if (type !== "float32" && type !== "int32" && type !== "bool") {
    throw new TypeError(`ONNX Runtime returned ${type}`);
  }
  return { dtype: type, shape: [...dims], data: Array.from(data, Number) };
}
