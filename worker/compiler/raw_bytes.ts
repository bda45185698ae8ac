import type { DType } from "./op.ts";

/** The bytes of numbers as files of models hold them, little-endian: a Float32Array's as they are, others as `dtype` says. */
export function rawBytes(
  dtype: DType | "int64",
  data: readonly number[] | Float32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (data instanceof Float32Array) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  switch (dtype) {
    case "float32":
      return new Uint8Array(Float32Array.from(data).buffer);
    case "int32":
      return new Uint8Array(Int32Array.from(data).buffer);
    case "int64":
      return new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
    case "bool":
      return Uint8Array.from(data);
  }
}
