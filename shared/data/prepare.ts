import { createHash } from "node:crypto";
import { basename, extname, join, resolve } from "node:path";
import { LockstepError } from "../errors.ts";
import { disk, type DiskFile, fileError, replaceFile, writeAll, writeFileAtomic } from "../files.ts";
import { sha256, sha256File } from "../hash.ts";
import { DATA_FILES, type DataMeta, readDataMeta } from "./data_meta.ts";
import { isUrl, NOVEL, openSource, type TextSource } from "./text_source.ts";
import { CharTokenizer } from "./tokenizers/char_tokenizer.ts";
import { openTokenizer } from "./tokenizers/open_tokenizer.ts";
import type { Tokenizer, TokenizerName } from "./tokenizers/tokenizer.ts";

/** Of the tokens, the first part is trained on; the rest is the validation part. */
const TRAIN_SHARE = 0.9;
const COPY_BYTES = 1 << 20;

/** What stands between two documents. */
const SEPARATOR: Record<TokenizerName, string> = { char: "\n", byte: "\n", gpt2: "<|endoftext|>" };

/** What is prepared, and how; the names are those of a run's configuration. */
export interface PrepareOptions {
  /** A file, a folder or a URL; null is the built-in novel. */
  readonly data: string | null;
  /** Where the result goes; null is {@link defaultDataDir}. */
  readonly data_dir: string | null;
  readonly tokenizer: TokenizerName;
  /** The field of JSON Lines, or the column of Parquet, that holds the text. */
  readonly text_field: string;
  /** Prepare again even if nothing has changed; a URL is fetched again only so. */
  readonly force?: boolean;
}

/** How far it is, for a progress bar: "fetch" downloads, "collect" reads the characters, "encode" writes the tokens. */
export type PrepareProgress =
  | { readonly phase: "collect" | "encode"; readonly doneBytes: number; readonly totalBytes: number }
  /** Null where the server does not say. */
  | { readonly phase: "fetch"; readonly doneBytes: number; readonly totalBytes: number | null };

/** What was made, or was there already. */
export interface Prepared {
  readonly dataDir: string;
  readonly meta: DataMeta;
  /** True if the folder held just this before. */
  readonly upToDate: boolean;
}

/** Whether a run reads what is prepared already in its `data_dir`, and no text has to become tokens first. */
export function isPrepared(
  { data, data_dir, init_from }: Pick<PrepareOptions, "data" | "data_dir"> & { readonly init_from: string },
): boolean {
  return data_dir !== null && (data === null || init_from === "resume");
}

/** The folder for a text that has none chosen: `data/NAME-TOKENIZER`, with a mark of where the text is. */
export function defaultDataDir({ data, tokenizer }: Pick<PrepareOptions, "data" | "tokenizer">): string {
  if (data === null) return join("data", `${NOVEL}-${tokenizer}`);
  const place = isUrl(data) ? data : resolve(data);
  const path = isUrl(data) ? new URL(data).pathname : place;
  const stem = basename(path, extname(path)).replace(/[^A-Za-z0-9._-]+/g, "_") || "text";
  return join("data", `${stem}-${tokenizer}-${sha256(place).slice(0, 8)}`);
}

/**
 * Turns a text into a folder with nanoGPT's `train.bin` (the first 90 % of the tokens), `val.bin` and a `meta.json`.
 * The same text and options give the same bytes; a folder that holds them already is left as it is. Throws E_DATA,
 * E_TOKEN or E_PICKLE for what cannot be read.
 */
export async function prepareText(
  options: PrepareOptions,
  onProgress: (progress: PrepareProgress) => void = () => {},
): Promise<Prepared> {
  const dataDir = options.data_dir ?? defaultDataDir(options);
  const before = await readOwnMeta(dataDir);
  const asks = { tokenizer: options.tokenizer, text_field: options.text_field };
  if (before !== null && !options.force && options.data !== null && isUrl(options.data)) {
    const sameUrl = before.source.name === options.data;
    if (sameUrl && await isUpToDate(dataDir, { before, asks })) {
      return { dataDir, meta: before, upToDate: true };
    }
  }
  const source = await openSource(
    options.data,
    (doneBytes, totalBytes) => onProgress({ phase: "fetch", doneBytes, totalBytes }),
  );
  try {
    const hash = await source.hash();
    const sameText = before !== null && !options.force && before.source.sha256 === hash;
    if (sameText && await isUpToDate(dataDir, { before, asks })) {
      return { dataDir, meta: before, upToDate: true };
    }
    const meta = await write(dataDir, { source, hash, asks, onProgress });
    return { dataDir, meta, upToDate: false };
  } finally {
    await source.close();
  }
}

/** What decides the tokens besides the text itself. */
interface Asks {
  readonly tokenizer: TokenizerName;
  readonly text_field: string;
}

/** meta.json of a folder that may be written to: one with nanoGPT's own files in it is refused, not overwritten. */
async function readOwnMeta(dataDir: string): Promise<DataMeta | null> {
  const meta = await readDataMeta(dataDir);
  if (meta?.source.text_field !== undefined) return meta; // docs/from_nanogpt.py leaves it out
  for (const name of [DATA_FILES.train, DATA_FILES.val]) {
    if (await hashIfThere(join(dataDir, name)) === null) continue;
    throw new LockstepError(
      "E_DATA",
      `Cannot prepare text in ${dataDir} as it holds a ${name} that "prepare" did not make: ` +
        `choose another --data_dir, or train from it without --data`,
    );
  }
  return null;
}

async function isUpToDate(
  dataDir: string,
  { before, asks }: { before: DataMeta; asks: Asks },
): Promise<boolean> {
  if (before.tokenizer !== asks.tokenizer || before.source.text_field !== asks.text_field) return false;
  return await hashIfThere(join(dataDir, DATA_FILES.train)) === before.train.sha256 &&
    await hashIfThere(join(dataDir, DATA_FILES.val)) === before.val.sha256;
}

async function hashIfThere(path: string): Promise<string | null> {
  try {
    return await sha256File(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

interface Work {
  readonly source: TextSource;
  /** Of the source. */
  readonly hash: string;
  readonly asks: Asks;
  readonly onProgress: (progress: PrepareProgress) => void;
}

async function write(dataDir: string, work: Work): Promise<DataMeta> {
  const all = join(dataDir, `tmp-${crypto.randomUUID()}`);
  const tokenizer = await chooseTokenizer(work);
  try {
    await disk.mkdir(dataDir);
    const tokens = await writeTokens(all, { ...work, tokenizer });
    const trainTokens = Math.floor(tokens * TRAIN_SHARE);
    const train = { path: all, start: 0, tokens: trainTokens };
    const val = { path: all, start: trainTokens, tokens: tokens - trainTokens };
    const meta: DataMeta = {
      ...tokenizer.meta(),
      train: { tokens: train.tokens, sha256: await hashRange(train) },
      val: { tokens: val.tokens, sha256: await hashRange(val) },
      source: { name: work.source.name, sha256: work.hash, text_field: work.asks.text_field },
    };
    // meta.json goes first: until the files that it promises are there, the folder is refused, never misread.
    await writeFileAtomic(join(dataDir, DATA_FILES.meta), JSON.stringify(meta, null, 2) + "\n");
    await replaceFile(join(dataDir, DATA_FILES.train), (file) => copyRange(train, file));
    await replaceFile(join(dataDir, DATA_FILES.val), (file) => copyRange(val, file));
    return meta;
  } catch (error) {
    throw fileError(error, `write ${dataDir}`);
  } finally {
    await disk.remove(all);
  }
}

async function chooseTokenizer(work: Work): Promise<Tokenizer> {
  const { tokenizer } = work.asks;
  if (tokenizer === "char") return await CharTokenizer.fromTexts(texts(work, "collect"));
  return await openTokenizer({ tokenizer, vocab_size: tokenizer === "byte" ? 256 : 50_257 });
}

/** All of a source's text, in pieces, with separators between the documents. */
async function* texts(
  { source, asks, onProgress }: Work,
  phase: "collect" | "encode",
): AsyncGenerator<string> {
  let doneBytes = 0;
  const onBytes = (count: number) => {
    doneBytes += count;
    onProgress({ phase, doneBytes, totalBytes: source.sizeBytes });
  };
  let first = true;
  for await (const { text, startsDocument } of source.documents({ textField: asks.text_field, onBytes })) {
    if (startsDocument && !first) yield SEPARATOR[asks.tokenizer];
    first = false;
    yield text;
  }
  if (!first) return;
  throw new LockstepError("E_DATA", `Cannot prepare ${source.name} as it must hold some text: it is empty`);
}

/** Writes all tokens to one file and resolves to their number. */
async function writeTokens(path: string, work: Work & { tokenizer: Tokenizer }): Promise<number> {
  const file = await disk.create(path);
  try {
    let tokens = 0;
    for await (const text of texts(work, "encode")) {
      const ids = work.tokenizer.encode(text);
      await writeAll(file, new Uint8Array(ids.buffer));
      tokens += ids.length;
    }
    return tokens;
  } finally {
    file.close();
  }
}

/** A part of a file of tokens. */
interface Range {
  readonly path: string;
  readonly start: number;
  readonly tokens: number;
}

async function hashRange(range: Range): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of readRange(range)) hash.update(bytes);
  return hash.digest("hex");
}

async function copyRange(range: Range, to: DiskFile): Promise<void> {
  for await (const bytes of readRange(range)) await writeAll(to, bytes);
}

async function* readRange({ path, start, tokens }: Range): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  await file.seek(start * 2, Deno.SeekMode.Start);
  const bytes = new Uint8Array(COPY_BYTES);
  for (let left = tokens * 2; left > 0;) {
    const count = await file.read(bytes.subarray(0, Math.min(left, bytes.length)));
    if (count === null) return;
    yield bytes.subarray(0, count);
    left -= count;
  }
}
