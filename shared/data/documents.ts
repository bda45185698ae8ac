import { extname } from "node:path";
import { LockstepError } from "../errors.ts";

/** A part of a document, never empty; the parts of a document follow each other. */
export interface Piece {
  readonly text: string;
  readonly startsDocument: boolean;
}

/** How a file is read. */
export interface ReadOptions {
  /** What a person calls the file. */
  readonly name: string;
  /** The field of JSON Lines, or the column of Parquet, that holds the text. */
  readonly textField: string;
  /** Called with the size of what was read since the last call. */
  readonly onBytes: (count: number) => void;
}

/** A package that is fetched when the first Parquet file is read: Deno fetches at start what `import` names literally. */
const HYPARQUET = "hyparquet";

/** Characters after which a long text is cut. */
const PIECE_LENGTH = 1 << 20;

type Reader = (path: string, options: ReadOptions) => AsyncIterable<Piece>;

const READERS: Record<string, Reader> = {
  ".jsonl": readJsonLines,
  ".ndjson": readJsonLines,
  ".parquet": readParquet,
};

/** Endings of the files that are taken from a folder. */
export const TEXT_ENDINGS = [".txt", ".text", ".md", ...Object.keys(READERS)];

/**
 * Reads the documents of a file: of JSON Lines and Parquet each row is one, anything else is one UTF-8 text. Throws
 * E_DATA, naming file and place, for what is not what its name says.
 */
export function readDocuments(path: string, options: ReadOptions): AsyncIterable<Piece> {
  const reader = READERS[extname(options.name).toLowerCase()] ?? readText;
  return reader(path, options);
}

async function* readText(path: string, options: ReadOptions): AsyncGenerator<Piece> {
  let rest = "";
  let startsDocument = true;
  for await (const chunk of readUtf8(path, options)) {
    const searched = rest.length;
    rest += chunk;
    if (rest.length < PIECE_LENGTH) continue;
    const cut = lastCut(rest, searched);
    if (cut <= 0) continue;
    yield { text: rest.slice(0, cut), startsDocument };
    startsDocument = false;
    rest = rest.slice(cut);
  }
  if (rest !== "") yield { text: rest, startsDocument };
}

/**
 * Where a text may be cut so that GPT-2's tokens are those of the whole: before a single space or line end between
 * two other characters. −1 if there is no such place from `from` on.
 */
export function lastCut(text: string, from: number): number {
  for (let i = text.length - 2; i >= Math.max(1, from - 1); i--) {
    const isSpace = text[i] === " " || text[i] === "\n";
    if (isSpace && /\S/.test(text[i - 1]) && /\S/.test(text[i + 1])) return i;
  }
  return -1;
}

async function* readJsonLines(path: string, options: ReadOptions): AsyncGenerator<Piece> {
  let number = 0;
  for await (const line of lines(readUtf8(path, options))) {
    number++;
    const json = line.trim();
    if (json === "") continue;
    const text = fieldOf(parseLine(json, `${options.name}:${number}`), options.textField);
    if (text === null) throw noText(`line ${number} of ${options.name}`, options.textField);
    if (text !== "") yield { text, startsDocument: true };
  }
}

async function* lines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  yield rest;
}

function parseLine(json: string, place: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new LockstepError("E_DATA", `Cannot read ${place} as JSON: ${reasonOf(error)}`, { cause: error });
  }
}

async function* readParquet(path: string, options: ReadOptions): AsyncGenerator<Piece> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema }:
    typeof import("hyparquet") = await import(HYPARQUET);
  const { name, textField } = options;
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map((column) => column.element.name);
    if (!columns.includes(textField)) throw noColumn(name, { textField, columns });
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parquetReadObjects({ file, metadata, columns: [textField], rowStart, rowEnd });
      for (const [i, row] of rows.entries()) {
        const text = fieldOf(row, textField);
        if (text === null) throw noText(`row ${rowStart + i + 1} of ${name}`, textField);
        if (text !== "") yield { text, startsDocument: true };
      }
      options.onBytes(file.byteLength / metadata.row_groups.length);
      rowStart = rowEnd;
    }
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    throw new LockstepError("E_DATA", `Cannot read ${name} as Parquet: ${reasonOf(error)}`, { cause: error });
  }
}

async function* readUtf8(path: string, options: ReadOptions): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch (error) {
      throw new LockstepError(
        "E_DATA",
        `Cannot read ${options.name} as text: it is not UTF-8, convert it first`,
        {
          cause: error,
        },
      );
    }
  };
  using file = await Deno.open(path);
  const bytes = new Uint8Array(1 << 18);
  for (let count = await file.read(bytes); count !== null; count = await file.read(bytes)) {
    yield decode(bytes.subarray(0, count));
    options.onBytes(count);
  }
  yield decode();
}

/** The string in field `name` of a row, null if there is none. */
function fieldOf(row: unknown, name: string): string | null {
  if (typeof row !== "object" || row === null) return null;
  const value: unknown = Reflect.get(row, name);
  return typeof value === "string" ? value : null;
}

function noText(place: string, textField: string): LockstepError {
  return new LockstepError(
    "E_DATA",
    `Cannot take a text from ${place} as the field ${JSON.stringify(textField)} must be a string there: ` +
      `choose another with --text_field`,
  );
}

function noColumn(
  name: string,
  { textField, columns }: { textField: string; columns: string[] },
): LockstepError {
  return new LockstepError(
    "E_DATA",
    `Cannot take texts from ${name} as it has no column ${JSON.stringify(textField)}: ` +
      `choose one of ${columns.join(", ")} with --text_field`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
