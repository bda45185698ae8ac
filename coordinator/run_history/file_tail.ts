import { concatBytes } from "../../shared/concat_bytes.ts";
import { openIfThere } from "../../shared/files.ts";

/** What becomes of a file's lines. */
export interface TailReader {
  /** One whole line, without its end. */
  line(text: string): void;
  /** The file was cut or written anew: its lines follow from the first on. */
  restart(): void;
}

/** Longest line that is read, bytes; a longer one is passed over. */
const MAX_LINE_BYTES = 1 << 20;
const PIECE_BYTES = 1 << 16;
/** By its last bytes a file is known again. */
const KNOWN_BYTES = 64;
const NEWLINE = 0x0a;

/** Follows a file that another process appends whole lines to: reads what is new, in bounded memory. A missing file is empty. */
export class FileTail {
  /** Bytes that have been read. */
  #offset = 0;
  /** The last of them. */
  #known: Uint8Array = new Uint8Array(0);
  /** The beginning of a line that has no end yet. */
  #rest: Uint8Array = new Uint8Array(0);
  #isTooLong = false;
  /** Size and time of change as of the last look. */
  #seen = "";

  constructor(private readonly path: string) {}

  /** Reads what has been added since the last call. Calls must not overlap. */
  async read(reader: TailReader): Promise<void> {
    const info = statOf(this.path);
    const seen = info === null ? "" : `${info.size} ${info.mtime?.getTime()} ${info.ino}`;
    if (seen === this.#seen) return;
    if (info === null) return this.#forget(reader);
    using file = await openIfThere(this.path);
    if (file === null) return;
    if (!await this.#isSame(file, info.size)) this.#forget(reader);
    await file.seek(this.#offset, Deno.SeekMode.Start);
    const piece = new Uint8Array(PIECE_BYTES);
    for (let n = await file.read(piece); n !== null; n = await file.read(piece)) {
      this.#take(piece.subarray(0, n), reader);
    }
    this.#seen = seen; // what was added meanwhile shows as another size
  }

  #forget(reader: TailReader): void {
    this.#seen = "";
    if (this.#offset === 0) return;
    this.#offset = 0;
    this.#known = this.#rest = new Uint8Array(0);
    this.#isTooLong = false;
    reader.restart();
  }

  /** A resumed run cuts off lines and writes them again; the file may be longer by now. */
  async #isSame(file: Deno.FsFile, size: number): Promise<boolean> {
    if (size < this.#offset) return false;
    const there = new Uint8Array(this.#known.length);
    await file.seek(this.#offset - there.length, Deno.SeekMode.Start);
    for (let done = 0; done < there.length;) {
      const n = await file.read(there.subarray(done));
      if (n === null) return false;
      done += n;
    }
    return there.every((byte, i) => byte === this.#known[i]);
  }

  #take(bytes: Uint8Array, reader: TailReader): void {
    this.#offset += bytes.length;
    this.#known = concatBytes(this.#known, bytes.subarray(-KNOWN_BYTES)).slice(-KNOWN_BYTES);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      const line = concatBytes(this.#rest, bytes.subarray(start, end));
      if (!this.#isTooLong) reader.line(decoder.decode(line));
      this.#rest = new Uint8Array(0);
      this.#isTooLong = false;
      start = end + 1;
    }
    this.#rest = concatBytes(this.#rest, bytes.subarray(start)).slice();
    if (this.#rest.length <= MAX_LINE_BYTES) return;
    this.#rest = new Uint8Array(0);
    this.#isTooLong = true;
  }
}

const decoder = new TextDecoder();

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
