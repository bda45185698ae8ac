import protobuf from "protobufjs";
import { LockstepError } from "../../shared/errors.ts";
import { rawBytes } from "./raw_bytes.ts";

/** The part of onnx.proto (ONNX 1.16, IR version 9) that Lockstep writes. */
const SCHEMA = `
syntax = "proto3";
message AttributeProto {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; TensorProto t = 5;
  repeated float floats = 7; repeated int64 ints = 8; int32 type = 20;
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto {
  int64 ir_version = 1; string producer_name = 2; string producer_version = 3;
  GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8;
}
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message TensorShapeProto {
  message Dimension { optional int64 dim_value = 1; }
  repeated Dimension dim = 1;
}
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  Tensor tensor_type = 1;
}
`;

/** ONNX's TensorProto.DataType. */
export const ONNX_DTYPE = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
export type OnnxDType = keyof typeof ONNX_DTYPE;

export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  /** Weights are taken as they are, small constants as numbers. */
  readonly data: readonly number[] | Float32Array<ArrayBuffer>;
}

export type OnnxAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | Omit<OnnxTensor, "name">;

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: string;
}

export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
}

/** A whole ONNX model, as plain data. */
export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const IR_VERSION = 9;
const OPSETS = [{ domain: "", version: 20 }, { domain: "com.microsoft", version: 1 }];
const ATTRIBUTE = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 } as const;

let modelType: protobuf.Type | undefined;

/** The bytes of an `.onnx` file. */
export function encodeOnnx(model: OnnxModel): Uint8Array<ArrayBuffer> {
  modelType ??= protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType("ModelProto");
  const message = {
    ir_version: IR_VERSION,
    producer_name: "lockstep",
    opset_import: OPSETS,
    graph: {
      name: "lockstep",
      node: model.nodes.map((node, i) => ({
        input: node.inputs,
        output: node.outputs,
        name: `${node.op}_${i}`,
        op_type: node.op,
        domain: node.domain ?? "",
        attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attribute(name, value)),
      })),
      initializer: model.constants.map(tensor),
      input: model.inputs.map(valueInfo),
      output: model.outputs.map(valueInfo),
    },
  };
  const problem = modelType.verify(message);
  if (problem !== null) throw new LockstepError("E_GRAPH", `Cannot write the ONNX file: ${problem}`);
  return new Uint8Array(modelType.encode(message).finish());
}

function attribute(name: string, value: OnnxAttribute) {
  if (typeof value === "number") return { name, i: value, type: ATTRIBUTE.int };
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: ATTRIBUTE.string };
  if ("float" in value) return { name, f: value.float, type: ATTRIBUTE.float };
  if ("data" in value) return { name, t: tensor({ name: "", ...value }), type: ATTRIBUTE.tensor };
  return { name, ints: value, type: ATTRIBUTE.ints };
}

function valueInfo({ name, dtype, shape }: OnnxValue) {
  const dim = shape.map((dim_value) => ({ dim_value }));
  return { name, type: { tensor_type: { elem_type: ONNX_DTYPE[dtype], shape: { dim } } } };
}

function tensor({ name, dtype, shape, data }: OnnxTensor) {
  return { name, dims: shape, data_type: ONNX_DTYPE[dtype], raw_data: rawBytes(dtype, data) };
}
