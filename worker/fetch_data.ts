import { join } from "node:path";
import { cacheFolder } from "../shared/cache_folder.ts";
import { type DataFile, sizeOf } from "../shared/data/data_files.ts";
import { LockstepError } from "../shared/errors.ts";
import { canonicalHash, sha256File } from "../shared/hash.ts";

/** Gives a piece of a file, in order; an empty one after the last. */
export type ReadPiece = (file: string, index: number) => Promise<Uint8Array>;

/**
 * The folder of a run's data on this machine: `dataDir` where its files are there, otherwise one in the cache folder, into
 * which what is missing is read piece by piece. Throws E_DATA where a file arrives damaged.
 */
export async function fetchData(
  dataDir: string,
  { files, readPiece }: { files: readonly DataFile[]; readPiece: ReadPiece },
): Promise<string> {
  if (await hasAll(dataDir, files)) return dataDir;
  const folder = cacheFolder("data", canonicalHash(files).slice(0, 16));
  if (folder === undefined) {
    throw new LockstepError(
      "E_DATA",
      `Cannot find the data in ${dataDir}, and there is no cache folder to fetch it into: set XDG_CACHE_HOME`,
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  for (const file of files) {
    if (await sizeOf(join(folder, file.name)) !== file.bytes) await fetchFile(folder, { file, readPiece });
  }
  return folder;
}

async function hasAll(folder: string, files: readonly DataFile[]): Promise<boolean> {
  for (const { name, bytes } of files) if (await sizeOf(join(folder, name)) !== bytes) return false;
  return true;
}

/** A file has its name only when it is whole, so that several workers of a machine may fetch it at once. */
async function fetchFile(
  folder: string,
  { file, readPiece }: { file: DataFile; readPiece: ReadPiece },
): Promise<void> {
  const temporary = await Deno.makeTempFile({ dir: folder, prefix: `${file.name}.` });
  try {
    using into = await Deno.open(temporary, { write: true });
    let bytes = 0;
    for (let index = 0; bytes < file.bytes; index++) {
      const piece = await readPiece(file.name, index);
      if (piece.length === 0) break;
      for (let at = 0; at < piece.length;) at += await into.write(piece.subarray(at));
      bytes += piece.length;
    }
    if (await sha256File(temporary) !== file.sha256) {
      throw new LockstepError("E_DATA", `Cannot use ${file.name} of the run's data: it arrived damaged`);
    }
    await Deno.rename(temporary, join(folder, file.name));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
