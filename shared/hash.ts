import { createHash } from "node:crypto";

/** SHA-256 of `bytes` (a string is taken as UTF-8), as 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** SHA-256 of a file's content, read in pieces of at most 1 MiB, as 64 lower-case hex digits. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  const piece = new Uint8Array(1 << 20);
  using file = await Deno.open(path);
  for (let n = await file.read(piece); n !== null; n = await file.read(piece)) {
    hash.update(piece.subarray(0, n));
  }
  return hash.digest("hex");
}

/**
 * The one JSON text of a value: object keys in code-unit order, no white space, members that are `undefined`
 * left out. Throws a TypeError on what JSON cannot say (a non-finite number, a function, a bigint, a class instance).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isPlainObject(value)) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  throw new TypeError(`Cannot hash a value as it must be plain JSON: current value is ${String(value)}`);
}

/** SHA-256 of {@link canonicalJson}: equal for values that differ only in the order of their keys. */
export function canonicalHash(value: unknown): string {
  return sha256(canonicalJson(value));
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
