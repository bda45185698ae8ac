import { LockstepError } from "../errors.ts";
import { replaceFile, writeAll } from "../files.ts";
import { decodeTensor } from "./decode_tensor.ts";
import {
  type Dtype,
  encodeHeader,
  MAX_HEADER_BYTES,
  parseHeader,
  type TensorInfo,
  type TensorSpec,
} from "./safetensors_header.ts";

/**
 * What a safetensors file holds; the tensors are in the order of their bytes, which begin at `dataOffset` of the file.
 * Format: https://github.com/huggingface/safetensors#format
 */
export interface SafetensorsHeader {
  tensors: TensorInfo[];
  dataOffset: number;
  metadata: Record<string, string>;
}

/** A tensor that was read: `dtype` is the file's, `data` has float32 for every floating type and int32 for every other. */
export interface Tensor {
  dtype: Dtype;
  shape: number[];
  data: Float32Array | Int32Array;
}

/** A tensor to be written, as F32 or I32. */
export interface NamedTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array | Int32Array;
}

/** Reads and checks the header of a safetensors file. Throws E_WEIGHTS unless header and size agree in every byte. */
export async function readHeader(path: string): Promise<SafetensorsHeader> {
  using file = await openFile(path);
  return await readHeaderOf(file, path);
}

/** Reads all tensors of a safetensors file, in the order of their bytes. Throws E_WEIGHTS on a file that is not valid. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  using file = await openFile(path);
  const { tensors } = await readHeaderOf(file, path); // the data follows
  const result = new Map<string, Tensor>();
  for (const { name, dtype, shape, begin, end } of tensors) {
    const bytes = new Uint8Array(end - begin);
    await readFull(file, { bytes, path });
    result.set(name, { dtype, shape, data: decode({ path, name, dtype, bytes }) });
  }
  return result;
}

/**
 * Fills `targets` one after the other with the data of a file whose tensors are all F32, without a copy in between:
 * the flat parameters, or the two moments of an optimizer. The targets need not end where tensors end, but must have room
 * for exactly the file's elements. Throws E_WEIGHTS otherwise. Returns the header.
 */
export async function readFlat(path: string, targets: readonly Float32Array[]): Promise<SafetensorsHeader> {
  using file = await openFile(path);
  const header = await readHeaderOf(file, path);
  const other = header.tensors.find(({ dtype }) => dtype !== "F32");
  if (other !== undefined) {
    throw refuse(path, `every tensor must be F32: ${JSON.stringify(other.name)} is ${other.dtype}`);
  }
  const wanted = targets.reduce((sum, target) => sum + target.length, 0);
  const given = (header.tensors.at(-1)?.end ?? 0) / Float32Array.BYTES_PER_ELEMENT;
  if (wanted !== given) throw refuse(path, `it must hold ${wanted} elements: it holds ${given}`);
  for (const target of targets) {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    await readFull(file, { bytes, path });
  }
  return header;
}

/**
 * Writes a safetensors file atomically, the data in the order given: Float32Array as F32, Int32Array as I32.
 * Throws E_WEIGHTS on a name given twice or data that does not fill its shape, E_NO_SPACE, E_OUT_DIR.
 */
export async function writeTensors(
  path: string,
  tensors: readonly NamedTensor[],
  options: { metadata?: Record<string, string> } = {},
): Promise<void> {
  const header = encodeHeader(tensors.map(toSpec), options.metadata);
  await replaceFile(path, async (file) => {
    await writeAll(file, header);
    for (const { data } of tensors) {
      await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  });
}

function toSpec({ name, shape, data }: NamedTensor): TensorSpec {
  const elements = shape.reduce((product, n) => product * n, 1);
  if (elements !== data.length) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot write tensor ${
        JSON.stringify(name)
      }: shape [${shape}] needs ${elements} elements, it has ${data.length}`,
    );
  }
  return { name, shape, dtype: data instanceof Float32Array ? "F32" : "I32" };
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new LockstepError("E_WEIGHTS", `Cannot read ${path} as there is no such file`, { cause: error });
  }
}

/** Reads the header and leaves the file at the first byte of the data. */
async function readHeaderOf(file: Deno.FsFile, path: string): Promise<SafetensorsHeader> {
  const { size: fileBytes, isFile } = await file.stat();
  if (!isFile) throw refuse(path, "it is no file");
  if (fileBytes < 8) throw refuse(path, `it needs 8 bytes for the length of its header: it has ${fileBytes}`);
  const prefix = new Uint8Array(8);
  await readFull(file, { bytes: prefix, path });
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  const limit = Math.min(MAX_HEADER_BYTES, fileBytes - 8);
  if (headerBytes > BigInt(limit)) {
    throw refuse(path, `its header may have ${limit} bytes here: its length says ${headerBytes}`);
  }
  const json = new Uint8Array(Number(headerBytes));
  await readFull(file, { bytes: json, path });
  const dataOffset = 8 + json.byteLength;
  const { tensors, metadata } = parseHeader(json, { path, dataBytes: fileBytes - dataOffset });
  return { tensors, dataOffset, metadata };
}

async function readFull(
  file: Deno.FsFile,
  options: { bytes: Uint8Array; path: string },
): Promise<void> {
  const { bytes, path } = options;
  for (let done = 0; done < bytes.byteLength;) {
    const n = await file.read(bytes.subarray(done));
    if (n === null) throw refuse(path, "it became shorter while it was read");
    done += n;
  }
}

function decode(
  options: { path: string; name: string; dtype: Dtype; bytes: Uint8Array<ArrayBuffer> },
): Float32Array | Int32Array {
  try {
    return decodeTensor(options.dtype, options.bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw refuse(options.path, `in tensor ${JSON.stringify(options.name)} ${error.message}`);
  }
}

function refuse(path: string, why: string): LockstepError {
  return new LockstepError("E_WEIGHTS", `Cannot read ${path} as safetensors: ${why}`);
}
