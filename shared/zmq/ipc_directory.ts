import { dirname, join } from "node:path";
import { holdLock, isLockHeld } from "../process_lock.ts";

// sun_path holds 108 bytes on Linux and 104 on macOS, a final zero included.
const MAX_PATH_BYTES = 103;
const LONGEST_NAME_BYTES = 32;

const PREFIX = "lockstep-";
/** In each directory: a file that the process which made it locks. */
const LOCK = "lock";

/** A private directory (mode 0700) for `ipc` sockets of this process. */
export interface IpcDirectory {
  /** The endpoint of the socket `name`, of at most 32 characters. */
  endpoint(name: string): string;
  /** Deletes the directory and what is left in it. */
  remove(): void;
}

/**
 * Makes an `IpcDirectory` under the system's temporary directory, or under `/tmp` where that one's path is
 * too long for a socket, or has blanks. Deletes those that killed processes have left there. Errors are those of `Deno.makeTempDir`.
 */
export function createIpcDirectory(): IpcDirectory {
  let path = Deno.makeTempDirSync({ prefix: PREFIX });
  const isTooLong = new TextEncoder().encode(path).length + 1 + LONGEST_NAME_BYTES > MAX_PATH_BYTES;
  if (isTooLong || /\s/.test(path)) { // messages carry endpoints as words
    Deno.removeSync(path);
    path = Deno.makeTempDirSync({ prefix: PREFIX, dir: "/tmp" });
  }
  // Locked before it has the name by which others judge whether this process lives.
  const lock = holdLock(join(path, `${LOCK}-new`));
  Deno.renameSync(join(path, `${LOCK}-new`), join(path, LOCK));
  sweep(dirname(path));
  return {
    endpoint: (name) => `ipc://${join(path, name)}`,
    remove() {
      lock?.release();
      Deno.removeSync(path, { recursive: true });
    },
  };
}

function sweep(folder: string): void {
  for (const { name } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(PREFIX) || !isThere(join(path, LOCK)) || isLockHeld(join(path, LOCK))) continue;
    try {
      Deno.removeSync(path, { recursive: true });
    } catch {
      // Another process removes it too, or it is another user's.
    }
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
