import type { z } from "zod";
import { appendWhole } from "./append_whole.ts";
import { concatBytes } from "./concat_bytes.ts";
import { LockstepError } from "./errors.ts";
import { fileError, openIfThere } from "./files.ts";

/** Longest line that is read, bytes. */
const MAX_LINE_BYTES = 1 << 20;
const PIECE_BYTES = 1 << 16;
const NEWLINE = 0x0a;

/**
 * Appends JSON values to a file, a line each, for a file with one writer. A line that a crash left torn is cut off when the
 * file is opened again, and one that could not be written whole is taken back.
 */
export class JsonlWriter implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #bytes: number;

  private constructor(options: { path: string; file: Deno.FsFile; bytes: number }) {
    this.#path = options.path;
    this.#file = options.file;
    this.#bytes = options.bytes;
  }

  /**
   * Opens or creates the file at `path`. Where `keep` is given, the first line that it refuses and all after it are cut off:
   * those of steps that a resumed run will take again. Throws E_OUT_DIR, E_NO_SPACE.
   */
  static async open(
    path: string,
    options: { keep?: (value: unknown) => boolean } = {},
  ): Promise<JsonlWriter> {
    let file: Deno.FsFile | undefined;
    try {
      file = await Deno.open(path, { read: true, append: true, create: true });
      const bytes = await goodBytes(path, options.keep ?? (() => true));
      await file.truncate(bytes);
      return new JsonlWriter({ path, file, bytes });
    } catch (error) {
      file?.close();
      throw fileError(error, `open ${path}`);
    }
  }

  /** Appends `value` in one write; non-finite numbers become null. Throws E_NO_SPACE, E_OUT_DIR. */
  append(value: unknown): void {
    const line = new TextEncoder().encode(JSON.stringify(value) + "\n");
    try {
      appendWhole(this.#file, line, { size: this.#bytes });
      this.#bytes += line.byteLength;
    } catch (error) {
      throw fileError(error, `append to ${this.#path}`);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * The values of a JSON Lines file, read as a stream; a torn last line is left out, a missing file is empty.
 * Throws E_DECODE, naming the line, where one is no JSON, and E_TOO_LARGE for a line above 1 MiB.
 */
export async function* readJsonl(path: string): AsyncGenerator<unknown> {
  for await (const { bytes, number } of readLines(path)) yield parseLine(bytes, { path, number });
}

/** A line of text as `schema` has it; null where it is none. */
export function parseText<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Length of the file's beginning that has whole lines and none that `keep` refuses; a damaged one is left to its readers. */
async function goodBytes(path: string, keep: (value: unknown) => boolean): Promise<number> {
  let total = 0;
  for await (const { bytes } of readLines(path)) {
    const value = tryParse(bytes);
    if (value !== undefined && !keep(value)) break;
    total += bytes.byteLength + 1;
  }
  return total;
}

function tryParse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function parseLine(bytes: Uint8Array, at: { path: string; number: number }): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new LockstepError("E_DECODE", `Cannot read ${at.path} as its line ${at.number} is no JSON`, {
      cause: error,
    });
  }
}

/** The whole lines of a file, without their newlines, numbered from 1. */
async function* readLines(path: string): AsyncGenerator<{ bytes: Uint8Array; number: number }> {
  using file = await openIfThere(path);
  if (file === null) return;
  let rest: Uint8Array = new Uint8Array(0);
  let number = 0;
  const piece = new Uint8Array(PIECE_BYTES);
  for (let n = await file.read(piece); n !== null; n = await file.read(piece)) {
    const bytes = concatBytes(rest, piece.subarray(0, n));
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      yield { bytes: bytes.subarray(start, end), number: ++number };
      start = end + 1;
    }
    rest = bytes.slice(start);
    if (rest.byteLength > MAX_LINE_BYTES) {
      throw new LockstepError(
        "E_TOO_LARGE",
        `Cannot read ${path} as its line ${number + 1} is longer than ${MAX_LINE_BYTES} bytes`,
      );
    }
  }
}
