import { join } from "node:path";

// sun_path holds 108 bytes on Linux and 104 on macOS, a final zero included.
const MAX_PATH_BYTES = 103;
const LONGEST_NAME_BYTES = 32;

/** A private directory (mode 0700) for `ipc` sockets of this process. */
export interface IpcDirectory {
  /** The endpoint of the socket `name`, of at most 32 characters. */
  endpoint(name: string): string;
  /** Deletes the directory and what is left in it. */
  remove(): void;
}

/**
 * Makes an `IpcDirectory` under the system's temporary directory, or under `/tmp` where that one's path is
 * too long for a socket. Errors are those of `Deno.makeTempDir`.
 */
export function createIpcDirectory(): IpcDirectory {
  let path = Deno.makeTempDirSync({ prefix: "lockstep-" });
  if (new TextEncoder().encode(path).length + 1 + LONGEST_NAME_BYTES > MAX_PATH_BYTES) {
    Deno.removeSync(path);
    path = Deno.makeTempDirSync({ prefix: "lockstep-", dir: "/tmp" });
  }
  return {
    endpoint: (name) => `ipc://${join(path, name)}`,
    remove: () => Deno.removeSync(path, { recursive: true }),
  };
}
