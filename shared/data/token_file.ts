import { createHash } from "node:crypto";
import { LockstepError } from "../errors.ts";

/** Bytes that are checked at a time. */
const PIECE_BYTES = 1 << 20;

/** What meta.json promises about a file of tokens. */
export interface TokenCount {
  readonly tokens: number;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
}

/**
 * A file of token ids, uint16 little endian, as nanoGPT's `train.bin`: checked once from end to end, then read by
 * ranges, so that memory does not grow with the file.
 */
export class TokenFile {
  readonly path: string;
  /** In tokens. */
  readonly length: number;
  /** Hex, of the whole file. */
  readonly sha256: string;
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile, found: TokenCount & { path: string }) {
    this.#file = file;
    this.path = found.path;
    this.length = found.tokens;
    this.sha256 = found.sha256;
  }

  /**
   * Opens and checks a file of tokens. Throws E_DATA if it is missing, has an odd size, is shorter than `least`
   * tokens or is not the `expected` one, and E_TOKEN if a token id is not below `vocabSize`.
   */
  static async open(
    path: string,
    options: { vocabSize: number; least: number; expected?: TokenCount },
  ): Promise<TokenFile> {
    const file = await openForReading(path);
    try {
      const found = await scan(file, { path, vocabSize: options.vocabSize });
      if (options.expected !== undefined) checkExpected(path, { found, expected: options.expected });
      if (found.tokens < options.least) {
        throw new LockstepError(
          "E_DATA",
          `Cannot draw windows from ${path} as it must hold more than block_size = ${
            options.least - 1
          } tokens: ` +
            `it holds ${found.tokens}, take more text or a smaller block_size`,
        );
      }
      return new TokenFile(file, { path, ...found });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Reads the tokens from `start` on until `into` is full. Throws E_DATA if the file has become shorter. */
  read(start: number, into: Uint16Array<ArrayBuffer>): void {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    this.#file.seekSync(start * 2, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) {
      const count = this.#file.readSync(bytes.subarray(done));
      if (count === null) {
        throw new LockstepError(
          "E_DATA",
          `Cannot read ${into.length} tokens at ${start} of ${this.path} as it held ${this.length} when it was ` +
            `opened and now ends before: it must not change during a run`,
        );
      }
      done += count;
    }
  }

  close(): void {
    this.#file.close();
  }
}

async function openForReading(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new LockstepError(
      "E_DATA",
      `Cannot open ${path} as there is no such file: make it with "prepare", or choose another --data_dir`,
      { cause: error },
    );
  }
}

/** Hashes the file and looks at every token. */
async function scan(
  file: Deno.FsFile,
  { path, vocabSize }: { path: string; vocabSize: number },
): Promise<TokenCount> {
  const { size } = await file.stat();
  if (size % 2 !== 0) {
    throw new LockstepError(
      "E_DATA",
      `Cannot read ${path} as tokens of two bytes (uint16): its size is odd, ${size} bytes`,
    );
  }
  const hash = createHash("sha256");
  const piece = new Uint16Array(PIECE_BYTES / 2);
  const bytes = new Uint8Array(piece.buffer);
  let tokens = 0;
  for (;;) {
    const count = await fill(file, bytes);
    if (count === 0) return { tokens, sha256: hash.digest("hex") };
    hash.update(bytes.subarray(0, count));
    const bad = piece.subarray(0, count / 2).findIndex((id) => id >= vocabSize);
    if (bad >= 0) {
      throw new LockstepError(
        "E_TOKEN",
        `Cannot use ${path} as token ids must be below the vocabulary's size ${vocabSize}: ` +
          `token ${tokens + bad} is ${piece[bad]}`,
      );
    }
    tokens += count / 2;
  }
}

/** Reads until `into` is full or the file ends; resolves to the bytes read. */
async function fill(file: Deno.FsFile, into: Uint8Array): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await file.read(into.subarray(done));
    if (count === null) break;
    done += count;
  }
  return done;
}

function checkExpected(path: string, { found, expected }: { found: TokenCount; expected: TokenCount }): void {
  if (found.tokens !== expected.tokens) {
    throw new LockstepError(
      "E_DATA",
      `Cannot use ${path} as meta.json beside it says ${expected.tokens} tokens: it holds ${found.tokens}, ` +
        `prepare the data again`,
    );
  }
  if (found.sha256 !== expected.sha256) {
    throw new LockstepError(
      "E_DATA",
      `Cannot use ${path} as meta.json beside it says SHA-256 ${expected.sha256}: it has ${found.sha256}, ` +
        `prepare the data again`,
    );
  }
}
