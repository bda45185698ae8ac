import { join } from "node:path";
import { LockstepError } from "./errors.ts";
import { fileError } from "./files.ts";
import {
  type CoordinatorKeys,
  decodeCoordinatorKeys,
  decodeMemberKeys,
  encodeKeys,
  type MemberKeys,
  type MemberRole,
  type Role,
  ROLES,
  type RunKeys,
} from "./keys.ts";

/** The name of a role's file in a folder of keys. */
export function keyFileName(role: Role): string {
  return `${role}.key`;
}

const OWNER_ONLY = 0o600;
const OTHERS = 0o077; // every permission of group and others
// A Secret of Kubernetes belongs to root, and is the pod's to read by its group alone; PostgreSQL's rule for such keys.
const OTHERS_OF_ROOTS = 0o037;
const MAX_BYTES = 1 << 20; // 4,096 admitted keys of 43 bytes, twice, and some room

/**
 * Writes the keys of each role into a file of its own (mode 0600) in `folder`, which is made (mode 0700) if it is not
 * there, and resolves to the paths. Throws E_KEY where a file exists already, as a run may depend on it; E_OUT_DIR or
 * E_NO_SPACE where nothing can be written.
 */
export async function writeKeyFiles(folder: string, keys: RunKeys): Promise<string[]> {
  const paths = ROLES.map((role) => join(folder, keyFileName(role)));
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [index, role] of ROLES.entries()) {
      await Deno.writeTextFile(paths[index], `${encodeKeys(keys[role])}\n`, {
        createNew: true,
        mode: OWNER_ONLY,
      });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw fileError(error, `write keys to ${folder}`);
    throw new LockstepError(
      "E_KEY",
      `Cannot write keys to ${folder} as there are some already: remove them, or choose another folder`,
    );
  }
  return paths;
}

/**
 * Reads the coordinator's keys from a file, or from its file in a folder. Throws E_KEY for a file that is not there, that
 * others may use (see `isOthersToUse`), or that holds something else; no message repeats what it holds.
 */
export async function readCoordinatorKeys(path: string): Promise<CoordinatorKeys> {
  const { file, text } = await readKeyFile(path, "coordinator");
  return decodeCoordinatorKeys(text, file);
}

/** As `readCoordinatorKeys`, for a worker or an admin. */
export async function readMemberKeys(path: string, role: MemberRole): Promise<MemberKeys> {
  const { file, text } = await readKeyFile(path, role);
  return decodeMemberKeys(text, { role, source: file });
}

/** Reads a file that holds a secret, with the same demands. */
export async function readSecretFile(path: string): Promise<string> {
  return (await readKeyFile(path)).text;
}

/** `role` names the file in a folder. */
async function readKeyFile(path: string, role?: Role): Promise<{ file: string; text: string }> {
  try {
    const isFolder = role !== undefined && (await Deno.stat(path)).isDirectory;
    const file = isFolder ? join(path, keyFileName(role)) : path;
    checkFile(await Deno.stat(file), file); // before it is opened, which would wait for a pipe's other end
    using opened = await Deno.open(file);
    checkFile(await opened.stat(), file);
    return { file, text: await new Response(opened.readable).text() };
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : "it cannot be read";
    throw new LockstepError("E_KEY", `Cannot use the keys in ${path} as ${reason}: see lockstep keygen`, {
      cause: error,
    });
  }
}

function checkFile({ isFile, size, mode, uid }: Deno.FileInfo, path: string): void {
  const refuse = (reason: string) =>
    new LockstepError("E_KEY", `Cannot use the keys in ${path} as ${reason}`);
  if (!isFile) throw refuse("it is no file");
  if (size > MAX_BYTES) throw refuse(`a file of keys has at most ${MAX_BYTES} bytes: this one has ${size}`);
  if (mode !== null && isOthersToUse({ mode, owner: uid, user: Deno.uid() })) {
    const given = (mode & 0o777).toString(8).padStart(4, "0");
    throw refuse(`others than its owner may use it (mode ${given}): run chmod 600 ${path}`);
  }
  if (uid !== null && uid !== Deno.uid() && uid !== 0) throw refuse("it belongs to another user");
}

/** Whether a file of keys is open to others than `user`, by its permissions; its owner is looked at elsewhere. */
export function isOthersToUse(
  { mode, owner, user }: { mode: number; owner: number | null; user: number | null },
): boolean {
  const others = owner === 0 && user !== 0 ? OTHERS_OF_ROOTS : OTHERS;
  return (mode & others) !== 0;
}
