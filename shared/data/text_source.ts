import { basename, extname, join, relative, resolve } from "node:path";
import { LockstepError } from "../errors.ts";
import { sha256, sha256File } from "../hash.ts";
import { isPickleName, refusePickle } from "../pickle.ts";
import { DATA_FILES } from "./data_meta.ts";
import { type Piece, readDocuments, type ReadOptions, TEXT_ENDINGS } from "./documents.ts";
import { download, type OnBytes } from "./download.ts";

/** Text to prepare, wherever it comes from. */
export interface TextSource {
  /** What meta.json calls it: a file's or a folder's own name, or the URL. */
  readonly name: string;
  readonly sizeBytes: number;
  /** SHA-256 (hex) of the file; of a folder that of the list which sha256sum would print. */
  hash(): Promise<string>;
  /** The documents, always in the same order. */
  documents(options: Omit<ReadOptions, "name">): AsyncIterable<Piece>;
  /** Removes what was downloaded. */
  close(): Promise<void>;
}

/** What the built-in novel is called. */
export const NOVEL = "moby-dick";

/** True for what is fetched over the network. */
export function isUrl(data: string): boolean {
  return /^https?:\/\//i.test(data);
}

/**
 * Opens a text: a file, a folder, a URL, which is fetched, or the built-in novel for null. Throws E_PICKLE for pickles, and E_DATA where
 * nothing can be read.
 */
export async function openSource(data: string | null, onBytes?: OnBytes): Promise<TextSource> {
  if (data === null) return openNovel();
  if (isUrl(data)) return await openUrl(data, onBytes);
  const path = data.startsWith("file:") ? new URL(data).pathname : data;
  const info = await statData(path);
  return info.isDirectory
    ? await openFolder(path)
    : openFile(path, { name: basename(path), size: info.size });
}

/** A module whose package is fetched when it is first used: Deno fetches at start what `import` names literally. */
const NOVEL_MODULE = new URL("./novel.ts", import.meta.url).href;

async function openNovel(): Promise<TextSource> {
  const { readNovel }: typeof import("./novel.ts") = await import(NOVEL_MODULE);
  const text = readNovel();
  return {
    name: NOVEL,
    sizeBytes: text.length,
    hash: () => Promise.resolve(sha256(text)),
    async *documents({ onBytes }) {
      yield { text, startsDocument: true };
      onBytes(text.length);
    },
    close: () => Promise.resolve(),
  };
}

async function openUrl(url: string, onBytes?: OnBytes): Promise<TextSource> {
  const name = new URL(url).pathname;
  refusePickle(name);
  const path = await download(url, onBytes);
  const { size } = await Deno.stat(path);
  return { ...openFile(path, { name, size }), name: url, close: () => Deno.remove(path) };
}

function openFile(path: string, { name, size }: { name: string; size: number }): TextSource {
  refusePickle(name);
  return {
    name,
    sizeBytes: size,
    hash: () => sha256File(path),
    documents: (options) => readDocuments(path, { ...options, name }),
    close: () => Promise.resolve(),
  };
}

async function openFolder(folder: string): Promise<TextSource> {
  const all = await filesIn(folder);
  refusePrepared(folder, all);
  const paths = all.filter((path) => TEXT_ENDINGS.includes(extname(path).toLowerCase()));
  if (paths.length === 0) throw noFiles(folder, all);
  const files = await Promise.all(paths.map(async (path) => {
    const { size } = await Deno.stat(path);
    return openFile(path, { name: relative(folder, path), size });
  }));
  return {
    name: basename(resolve(folder)), // also of "."

    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    async hash() {
      let list = "";
      for (const file of files) list += `${await file.hash()}  ${file.name}\n`;
      return sha256(list);
    },
    async *documents(options) {
      for (const file of files) yield* file.documents(options);
    },
    close: () => Promise.resolve(),
  };
}

/** All files below a folder, hidden ones left out, in code unit order. */
async function filesIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory) paths.push(...await filesIn(path));
    else if (entry.isFile || (await Deno.stat(path)).isFile) paths.push(path); // a link to a folder is not followed
  }
  return paths.sort();
}

function refusePrepared(folder: string, paths: string[]): void {
  if (!paths.includes(join(folder, DATA_FILES.train))) return;
  throw new LockstepError(
    "E_DATA",
    `Cannot prepare ${folder} as it holds ${DATA_FILES.train} and so is prepared already: ` +
      `pass it as --data_dir=${folder}`,
  );
}

function noFiles(folder: string, paths: string[]): LockstepError {
  const pickle = paths.find(isPickleName);
  if (pickle !== undefined) refusePickle(pickle);
  return new LockstepError(
    "E_DATA",
    `Cannot find a text in ${folder} as it must hold files ending in ${TEXT_ENDINGS.join(", ")}: ` +
      `it holds ${paths.length} files, none of them such a one`,
  );
}

async function statData(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new LockstepError(
      "E_DATA",
      `Cannot read ${path} as there is no such file or folder: check --data`,
      {
        cause: error,
      },
    );
  }
}
