import { dirname, join } from "node:path";
import { type ErrorCode, LockstepError } from "./errors.ts";

/** An open file of a {@link Disk}. */
export interface DiskFile {
  /** Writes some of `bytes` and resolves to how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Resolves when everything written is on the storage device. */
  sync(): Promise<void>;
  close(): void;
}

/** What durable writers do to a file system: the seam where tests make any single call fail or the process die. */
export interface Disk {
  /** Makes a directory and its missing parents. */
  mkdir(path: string): Promise<void>;
  /** Creates a file that must not exist yet. */
  create(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all it holds; nothing there is fine. */
  remove(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDir(path: string): Promise<void>;
}

/** The machine's file system. */
export const disk: Disk = {
  mkdir: (path) => Deno.mkdir(path, { recursive: true }),
  create: (path) => Deno.open(path, { write: true, createNew: true }),
  rename: (from, to) => Deno.rename(from, to),
  async remove(path) {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
  async syncDir(path) {
    if (Deno.build.os === "windows") return; // Windows opens no directory for that and journals names itself
    using directory = await Deno.open(path);
    await directory.sync();
  },
};

/** Pieces handed to the file system: what is written in one call is copied once, so this bounds the copy. */
const PIECE_BYTES = 1 << 20;

/** Whether something that can be looked at is at `path`. */
export async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Opens a file to read it; null where there is none. */
export async function openIfThere(path: string): Promise<Deno.FsFile | null> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Makes a folder and those above it, where they are not there. Throws E_NO_SPACE, E_OUT_DIR. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await disk.mkdir(path);
  } catch (error) {
    throw fileError(error, `make the folder ${path}`);
  }
}

/** Writes all of `bytes`, however little a single call takes. */
export async function writeAll(file: DiskFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += await file.write(bytes.subarray(done, done + PIECE_BYTES));
  }
}

/**
 * Replaces or creates the file at `path`: after a crash at any moment it holds the old content or the new one, whole.
 * Throws E_NO_SPACE or E_OUT_DIR, and leaves no temporary file behind, where it cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { disk?: Disk } = {},
): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await replaceFile(path, (file) => writeAll(file, bytes), options);
}

/** As {@link writeFileAtomic}, with a function that streams the content. */
export async function replaceFile(
  path: string,
  write: (file: DiskFile) => Promise<void>,
  options: { disk?: Disk } = {},
): Promise<void> {
  const on = options.disk ?? disk;
  const temporary = join(dirname(path), `tmp-${crypto.randomUUID()}`);
  try {
    await createFile(temporary, write, { disk: on });
    await on.rename(temporary, path);
    await on.syncDir(dirname(path));
  } catch (error) {
    await on.remove(temporary).catch(() => {}); // the first error is the one to tell
    throw fileError(error, `write ${path}`);
  }
}

/** Creates a file that must not exist yet, with its content on the storage device when this resolves. */
export async function createFile(
  path: string,
  write: (file: DiskFile) => Promise<void>,
  options: { disk: Disk },
): Promise<void> {
  const file = await options.disk.create(path);
  try {
    await write(file);
    await file.sync();
  } finally {
    file.close();
  }
}

/** What the operating system says when a place is full or may not be written, and the code a person gets. */
const CODE_BY_ERRNO = new Map<string, { code: ErrorCode; reason: string }>([
  ["ENOSPC", { code: "E_NO_SPACE", reason: "the disk is full: free some space or choose another --out_dir" }],
  ["EDQUOT", {
    code: "E_NO_SPACE",
    reason: "the disk quota is used up: free some or choose another --out_dir",
  }],
  ["EROFS", { code: "E_OUT_DIR", reason: "the file system is read-only: choose another --out_dir" }],
  ["EACCES", { code: "E_OUT_DIR", reason: "permission is denied: choose another --out_dir" }],
  ["EPERM", { code: "E_OUT_DIR", reason: "the operation is not permitted: choose another --out_dir" }],
  ["ENOTDIR", { code: "E_OUT_DIR", reason: "a part of the path is no directory: choose another --out_dir" }],
]);

/**
 * The refusal for a failed `action` ("write out/x/LATEST"): E_NO_SPACE for a full disk, E_OUT_DIR for a place that
 * may not be written; any other error comes back as it is.
 */
export function fileError(error: unknown, action: string): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    return new LockstepError("E_OUT_DIR", `Cannot ${action} as Deno was not allowed to: ${error.message}`, {
      cause: error,
    });
  }
  const known = CODE_BY_ERRNO.get(errnoOf(error));
  if (known === undefined) return error;
  return new LockstepError(known.code, `Cannot ${action} as ${known.reason}`, { cause: error });
}

function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Names of files, runs and datasets that come from outside: no separators, no surprises in a shell. */
const NAME = /^[A-Za-z0-9._-]{1,128}$/;

/** Returns `name` if it is safe as one part of a path, and throws E_PATH otherwise; `what` says what it names. */
export function safeName(name: string, what: string): string {
  if (NAME.test(name) && name !== "." && name !== "..") return name;
  throw new LockstepError(
    "E_PATH",
    `Cannot take ${JSON.stringify(name.slice(0, 200))} as ${what}: a name has 1 to 128 letters, digits, ` +
      `dots, dashes or underscores`,
  );
}
