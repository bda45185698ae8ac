import { join } from "node:path";
import { LockstepError } from "../errors.ts";
import { sha256File } from "../hash.ts";
import { DATA_FILES } from "./data_meta.ts";

/** What may lie in a run's data_dir: a prepared text, or weights whose tokenizer reads the run's questions. */
const FILES: readonly string[] = [...Object.values(DATA_FILES), "config.json", "vocab.json"];

/** A file of a run's data. */
export interface DataFile {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256, hex. */
  readonly sha256: string;
}

/** The files of a run's data_dir, as far as they are there. */
export async function listDataFiles(dataDir: string): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const name of FILES) {
    const path = join(dataDir, name);
    const bytes = await sizeOf(path);
    if (bytes !== null) files.push({ name, bytes, sha256: await sha256File(path) });
  }
  return files;
}

/** Pieces of data files are this long, in bytes. */
const PIECE_BYTES = 1 << 20; // 0.8 s at 10 Mbit/s: signs of life must come within 3 s

/** A piece of a file of a data folder; empty after its end. Throws E_PATH for what is none of its files. */
export async function readDataPiece(
  dataDir: string,
  { file, index }: { file: string; index: number },
): Promise<Uint8Array<ArrayBuffer>> {
  if (!FILES.includes(file)) {
    throw new LockstepError("E_PATH", `Cannot give ${file}: it is no file of the run's data`);
  }
  using from = await Deno.open(join(dataDir, file));
  await from.seek(index * PIECE_BYTES, Deno.SeekMode.Start);
  const piece = new Uint8Array(PIECE_BYTES);
  let length = 0;
  for (;;) {
    const read = await from.read(piece.subarray(length));
    if (read === null || read === 0) return piece.subarray(0, length);
    length += read;
  }
}

/** Bytes of a file; null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
