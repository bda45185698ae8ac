/** Deepest nesting of maps and arrays: messages use five, configurations a few more. */
export const MAX_DEPTH = 16;
/** Most values in one frame, keys included: a bound for the memory that decoding takes. */
export const MAX_VALUES = 1 << 18;

/** Length fields after the first byte, in bytes, for the kinds that have one. */
const BINARY: Record<number, number> = { 0xc4: 1, 0xc5: 2, 0xc6: 4 };
const STRING: Record<number, number> = { 0xd9: 1, 0xda: 2, 0xdb: 4 };
const ARRAY: Record<number, number> = { 0xdc: 2, 0xdd: 4 };
const MAP: Record<number, number> = { 0xde: 2, 0xdf: 4 };
/**
 * Bytes after the first one, for kinds of a fixed size: nil, false, true, floats, unsigned and signed
 * integers.
 */
const FIXED: Record<number, number> = {
  ...{ 0xc0: 0, 0xc2: 0, 0xc3: 0, 0xca: 4, 0xcb: 8 },
  ...{ 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8 },
};

interface Header {
  kind: "map" | "array" | "string" | "other";
  /** Entries of a map or array, else bytes of content. */
  length: number;
  /** Bytes of the header itself. */
  size: number;
}

/**
 * Walks a MessagePack value without building it. Returns why it must not be decoded, or null: it must be
 * complete, fill the bytes exactly, keep to the limits above, have strings as keys, and use no extension
 * types (msgpackr's make records, class instances and references of them).
 */
export function checkMessagePack(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: { isMap: boolean; left: number }[] = [{ isMap: false, left: 1 }];
  let position = 0, values = 0;
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.left === 0) {
      open.pop();
      continue;
    }
    const header = readHeader(view, position);
    if (typeof header === "string") return header;
    if (top.isMap && top.left % 2 === 0 && header.kind !== "string") return "a key is not a string";
    top.left--;
    if (++values > MAX_VALUES) return `it has more than ${MAX_VALUES} values`;
    position += header.size;
    if (header.kind === "map" || header.kind === "array") {
      if (open.length > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH} levels`;
      if (values + header.length > MAX_VALUES) return `it has more than ${MAX_VALUES} values`;
      const isMap = header.kind === "map";
      open.push({ isMap, left: isMap ? 2 * header.length : header.length });
    } else {
      position += header.length;
    }
    if (position > bytes.byteLength) return "it is cut off";
  }
  return position === bytes.byteLength ? null : "bytes follow its end";
}

function readHeader(view: DataView, position: number): Header | string {
  if (position >= view.byteLength) return "it is cut off";
  const first = view.getUint8(position);
  if (first < 0x80 || first >= 0xe0) return { kind: "other", length: 0, size: 1 };
  if (first < 0x90) return { kind: "map", length: first & 0x0f, size: 1 };
  if (first < 0xa0) return { kind: "array", length: first & 0x0f, size: 1 };
  if (first < 0xc0) return { kind: "string", length: first & 0x1f, size: 1 };
  if (first in FIXED) return { kind: "other", length: FIXED[first], size: 1 };
  if (first in BINARY) return longHeader(view, { kind: "other", position, width: BINARY[first] });
  if (first in STRING) return longHeader(view, { kind: "string", position, width: STRING[first] });
  if (first in ARRAY) return longHeader(view, { kind: "array", position, width: ARRAY[first] });
  if (first in MAP) return longHeader(view, { kind: "map", position, width: MAP[first] });
  return "it has an extension type";
}

function longHeader(
  view: DataView,
  { kind, position, width }: { kind: Header["kind"]; position: number; width: number },
): Header | string {
  const at = position + 1;
  if (at + width > view.byteLength) return "it is cut off";
  const length = width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at);
  return { kind, length, size: 1 + width };
}
