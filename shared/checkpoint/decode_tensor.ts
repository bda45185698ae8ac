import { BYTES_PER_ELEMENT, type Dtype } from "./safetensors_header.ts";

/**
 * A tensor's little-endian bytes as numbers: floating types become float32 (F64 is rounded), whole ones int32.
 * Throws a RangeError that names the value where one does not fit an int32.
 */
export function decodeTensor(dtype: Dtype, bytes: Uint8Array<ArrayBuffer>): Float32Array | Int32Array {
  const aligned = bytes.byteOffset % BYTES_PER_ELEMENT[dtype] === 0 ? bytes : bytes.slice();
  return DECODE[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / BYTES_PER_ELEMENT[dtype]);
}

type Decode = (buffer: ArrayBuffer, offset: number, length: number) => Float32Array | Int32Array;

// Typed arrays use the machine's byte order; every machine that Deno runs on is little-endian, as the files are.
const DECODE: Record<Dtype, Decode> = {
  F64: (...at) => new Float32Array(new Float64Array(...at)),
  F32: (...at) => new Float32Array(...at),
  F16: (...at) => new Float32Array(new Float16Array(...at)),
  BF16: (...at) => fromBfloat16(new Uint16Array(...at)),
  I64: (...at) => fromInt64(new BigInt64Array(...at)),
  I32: (...at) => new Int32Array(...at),
  I16: (...at) => new Int32Array(new Int16Array(...at)),
  I8: (...at) => new Int32Array(new Int8Array(...at)),
  U32: (...at) => fromUint32(new Uint32Array(...at)),
  U16: (...at) => new Int32Array(new Uint16Array(...at)),
  U8: (...at) => new Int32Array(new Uint8Array(...at)),
  BOOL: (...at) => new Int32Array(new Uint8Array(...at)),
};

/** A bfloat16 is the upper half of a float32. */
function fromBfloat16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
  return new Float32Array(words.buffer);
}

function fromInt64(values: BigInt64Array): Int32Array {
  const result = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    if (BigInt.asIntN(32, values[i]) !== values[i]) throw doesNotFit(values[i]);
    result[i] = Number(values[i]);
  }
  return result;
}

function fromUint32(values: Uint32Array): Int32Array {
  const tooLarge = values.find((value) => value > 0x7fffffff);
  if (tooLarge !== undefined) throw doesNotFit(tooLarge);
  return new Int32Array(values);
}

function doesNotFit(value: number | bigint): RangeError {
  return new RangeError(`a value must fit a 32-bit integer: it is ${value}`);
}
