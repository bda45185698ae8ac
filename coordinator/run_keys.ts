import { join, normalize } from "node:path";
import { LockstepError } from "../shared/errors.ts";
import { isThere } from "../shared/files.ts";
import { readCoordinatorKeys, readMemberKeys, writeKeyFiles } from "../shared/key_files.ts";
import { makeRunKeys, type RunKeys } from "../shared/keys.ts";

/**
 * The keys of a run that listens on tcp: those of the folder `given`, otherwise the run's own in its directory, which are
 * made where there are none. Throws E_KEY for files that are missing, damaged, or others' to read.
 */
export async function runKeys(dir: string, given: string | null): Promise<RunKeys> {
  const own = join(dir, "keys");
  if (given !== null && normalize(given) !== normalize(own)) return await readRunKeys(given);
  if (!await isThere(own)) {
    const keys = makeRunKeys();
    await writeKeyFiles(own, keys);
    return keys;
  }
  return await readRunKeys(own);
}

/** All keys of a run, of a folder. Throws E_KEY for files that are missing, damaged, or others' to read. */
export async function readRunKeys(folder: string): Promise<RunKeys> {
  if (!await isThere(folder)) {
    throw new LockstepError(
      "E_KEY",
      `Cannot read keys from ${folder} as it is not there: make some with lockstep keygen`,
    );
  }
  const [coordinator, worker, admin] = await Promise.all([
    readCoordinatorKeys(folder),
    readMemberKeys(folder, "worker"),
    readMemberKeys(folder, "admin"),
  ]);
  return { coordinator, worker, admin };
}
