import { z } from "zod";
import { LockstepError } from "../errors.ts";

/** Bytes of one element of every dtype that is read. */
export const BYTES_PER_ELEMENT = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** An element type, by its name in safetensors files. */
export type Dtype = keyof typeof BYTES_PER_ELEMENT;

/** A tensor as a header describes it; its bytes are `begin` to `end` (exclusive) of the data section. */
export interface TensorInfo {
  name: string;
  dtype: Dtype;
  shape: number[];
  begin: number;
  end: number;
}

/** A tensor to be written. */
export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

/** Longest header that is read, bytes: room for tens of thousands of tensors, and a bound on memory. */
export const MAX_HEADER_BYTES = 8 << 20;

const METADATA = "__metadata__";
const FIELDS_PER_TENSOR = 3;

const size = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const tensorSchema = z.strictObject({
  dtype: z.enum(Object.keys(BYTES_PER_ELEMENT)),
  shape: z.array(size).max(64),
  data_offsets: z.tuple([size, size]),
});

/**
 * The tensors, in the order of their bytes, and the metadata that a header's JSON describes; `dataBytes` is the size of the
 * data section. `path` is for messages.
 * Throws E_WEIGHTS unless the tensors fill the data section exactly, without gap or overlap.
 */
export function parseHeader(
  json: Uint8Array,
  options: { path: string; dataBytes: number },
): { tensors: TensorInfo[]; metadata: Record<string, string> } {
  const refuse = (why: string) => refusal(options.path, why);
  const { value, keys } = parseStrictJson(json, refuse);
  const tensors: TensorInfo[] = [];
  const metadata: Record<string, string> = Object.create(null);
  let keysFound = 0;
  for (const [name, entry] of Object.entries(value)) {
    keysFound += 1;
    if (name === METADATA) keysFound += readMetadata(entry, { into: metadata, refuse });
    else {
      tensors.push(readTensorInfo(name, { entry, refuse }));
      keysFound += FIELDS_PER_TENSOR;
    }
  }
  // JSON.parse keeps the last of two equal keys, so a key that was repeated is missing from the value.
  if (keysFound !== keys) throw refuse("its header has a key twice");
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(tensors, { dataBytes: options.dataBytes, refuse });
  return { tensors, metadata };
}

type Refuse = (why: string) => LockstepError;

function refusal(path: string, why: string): LockstepError {
  return new LockstepError("E_WEIGHTS", `Cannot read ${path} as safetensors: ${why}`);
}

/** Parses an object of strings, arrays and plain digits, and counts the keys in its text. */
function parseStrictJson(json: Uint8Array, refuse: Refuse): { value: Record<string, unknown>; keys: number } {
  let value: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch {
    throw refuse("its header is no UTF-8 JSON");
  }
  if (!isRecord(value)) throw refuse("its header is no JSON object");
  // With every string shortened to one quote, what is left is punctuation and numbers.
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '"');
  if (!/^\{[\][{},:"\d\s]*$/.test(bare)) {
    throw refuse("its header has something other than strings and whole numbers");
  }
  return { value, keys: bare.match(/"\s*:/g)?.length ?? 0 };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readMetadata(entry: unknown, options: { into: Record<string, string>; refuse: Refuse }): number {
  if (!isRecord(entry)) throw options.refuse(`its ${METADATA} is no object`);
  const members = Object.entries(entry);
  for (const [key, text] of members) {
    if (typeof text !== "string") throw options.refuse(`its ${METADATA} holds something other than strings`);
    options.into[key] = text;
  }
  return members.length;
}

function readTensorInfo(name: string, options: { entry: unknown; refuse: Refuse }): TensorInfo {
  const label = JSON.stringify(name.slice(0, 200));
  const parsed = tensorSchema.safeParse(options.entry);
  if (!parsed.success) {
    throw options.refuse(
      `tensor ${label} needs a known dtype, a shape and two data_offsets of whole numbers below 2^53`,
    );
  }
  const { dtype, shape, data_offsets: [begin, end] } = parsed.data;
  if (!isDtype(dtype)) throw options.refuse(`tensor ${label} has an unknown dtype ${dtype}`);
  const bytes = tensorBytes({ dtype, shape });
  if (Number.isNaN(bytes)) {
    throw options.refuse(`tensor ${label} of shape [${shape}] has more than 2^53 bytes`);
  }
  if (end - begin !== bytes) {
    throw options.refuse(
      `tensor ${label}, ${dtype} of shape [${shape}], must have ${bytes} bytes: its data_offsets are ${begin} and ${end}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isDtype(name: string): name is Dtype {
  return Object.hasOwn(BYTES_PER_ELEMENT, name);
}

/** Bytes of a tensor's data; NaN where an intermediate product is above 2^53. */
export function tensorBytes(tensor: { dtype: Dtype; shape: readonly number[] }): number {
  let bytes: number = BYTES_PER_ELEMENT[tensor.dtype];
  for (const dimension of tensor.shape) {
    bytes *= dimension;
    if (!Number.isSafeInteger(bytes)) return NaN;
  }
  return bytes;
}

function checkLayout(tensors: TensorInfo[], options: { dataBytes: number; refuse: Refuse }): void {
  let position = 0;
  for (const { name, begin, end } of tensors) {
    if (begin !== position) {
      const label = JSON.stringify(name.slice(0, 200));
      throw options.refuse(
        `tensor ${label} must begin at byte ${position} of the data: it begins at ${begin}`,
      );
    }
    position = end;
  }
  if (position !== options.dataBytes) {
    throw options.refuse(`its tensors need ${position} bytes of data: it has ${options.dataBytes}`);
  }
}

/**
 * The first bytes of a safetensors file: the header's length and the header, padded with spaces so that the data that
 * follows is aligned to 8 bytes. The data of the tensors follows in the order given.
 * Throws E_WEIGHTS on a repeated name or a shape that is none.
 */
export function encodeHeader(tensors: readonly TensorSpec[], metadata?: Record<string, string>): Uint8Array {
  const entries = new Map<string, unknown>();
  if (metadata !== undefined) entries.set(METADATA, metadata);
  let position = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === METADATA || entries.has(name)) {
      throw new LockstepError(
        "E_WEIGHTS",
        `Cannot write two entries ${JSON.stringify(name)} into one safetensors file`,
      );
    }
    const end = position + tensorBytes({ dtype, shape });
    if (!Number.isSafeInteger(end) || shape.some((n) => !Number.isInteger(n) || n < 0)) {
      throw new LockstepError(
        "E_WEIGHTS",
        `Cannot write tensor ${JSON.stringify(name)}: its shape is [${shape}]`,
      );
    }
    entries.set(name, { dtype, shape, data_offsets: [position, end] });
    position = end;
  }
  // Object.fromEntries would move names that look like array indices to the front; the order of keys is the order of data.
  const members = [...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  return frameHeader(new TextEncoder().encode(`{${members.join(",")}}`));
}

function frameHeader(json: Uint8Array): Uint8Array {
  const padded = Math.ceil(json.byteLength / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new LockstepError(
      "E_TOO_LARGE",
      `Cannot write a safetensors header above ${MAX_HEADER_BYTES} bytes: it has ${padded}`,
    );
  }
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}
