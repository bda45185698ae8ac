import { fileURLToPath } from "node:url";
import manifest from "zeromq/package.json" with { type: "json" };
import { LockstepError } from "../errors.ts";
import { keepLoaded } from "../keep_loaded.ts";

/**
 * Builds of libzmq, best first, by `Deno.build.os` and `Deno.build.arch`. Paths lie in the npm package
 * `zeromq`, whose Node add-ons export libzmq's C interface on Linux and macOS; absolute ones are where systems
 * install it, as a bare name would be looked for in the current folder. The add-ons for Windows do not export it.
 */
const LIBRARIES: Record<string, string[]> = {
  "linux-x86_64": [
    "build/linux/x64/node/glibc-127-Release/addon.node", // glibc 2.25 and later
    "build/linux/x64/node/64/addon.node", // glibc 2.17 and later
    "build/linux/x64/node/musl-127-Release/addon.node",
    "/usr/lib/x86_64-linux-gnu/libzmq.so.5",
    "/usr/lib/libzmq.so.5",
  ],
  "linux-aarch64": [
    "build/linux/arm64/node/glibc-127-Release/addon.node",
    "build/linux/arm64/node/musl-127-Release/addon.node",
    "/usr/lib/aarch64-linux-gnu/libzmq.so.5",
    "/usr/lib/libzmq.so.5",
  ],
  "darwin-x86_64": [
    "build/darwin/x64/node/libc-115-Release/addon.node",
    "build/darwin/x64/node/115/addon.node",
    "/usr/local/lib/libzmq.dylib",
  ],
  "darwin-aarch64": [
    "build/darwin/arm64/node/libc-115-Release/addon.node",
    "build/darwin/arm64/node/115/addon.node",
    "/opt/homebrew/lib/libzmq.dylib",
  ],
  "windows-x86_64": ["C:/Program Files/ZeroMQ/bin/libzmq.dll"],
  "windows-aarch64": ["C:/Program Files/ZeroMQ/bin/libzmq.dll"],
};

const SYMBOLS = {
  zmq_ctx_new: { parameters: [], result: "pointer" },
  zmq_ctx_shutdown: { parameters: ["pointer"], result: "i32" },
  // Waits for the linger time of closed sockets, so it must not block the JavaScript thread.
  zmq_ctx_term: { parameters: ["pointer"], result: "i32", nonblocking: true },
  zmq_socket: { parameters: ["pointer", "i32"], result: "pointer" },
  zmq_close: { parameters: ["pointer"], result: "i32" },
  zmq_bind: { parameters: ["pointer", "buffer"], result: "i32" },
  zmq_connect: { parameters: ["pointer", "buffer"], result: "i32" },
  zmq_disconnect: { parameters: ["pointer", "buffer"], result: "i32" },
  zmq_setsockopt: { parameters: ["pointer", "i32", "buffer", "usize"], result: "i32" },
  zmq_getsockopt: { parameters: ["pointer", "i32", "buffer", "buffer"], result: "i32" },
  zmq_socket_monitor: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  zmq_send: { parameters: ["pointer", "buffer", "usize", "i32"], result: "i32" },
  zmq_recv: { parameters: ["pointer", "buffer", "usize", "i32"], result: "i32" },
  zmq_msg_init: { parameters: ["buffer"], result: "i32" },
  zmq_msg_recv: { parameters: ["buffer", "pointer", "i32"], result: "i32" },
  zmq_msg_size: { parameters: ["buffer"], result: "usize" },
  zmq_msg_data: { parameters: ["buffer"], result: "pointer" },
  zmq_msg_more: { parameters: ["buffer"], result: "i32" },
  zmq_msg_get: { parameters: ["buffer", "i32"], result: "i32" },
  zmq_msg_gets: { parameters: ["buffer", "buffer"], result: "pointer" },
  zmq_msg_close: { parameters: ["buffer"], result: "i32" },
  zmq_poll: { parameters: ["buffer", "i32", "i64"], result: "i32", nonblocking: true },
  zmq_version: { parameters: ["buffer", "buffer", "buffer"], result: "void" },
  zmq_errno: { parameters: [], result: "i32" },
  zmq_strerror: { parameters: ["i32"], result: "pointer" },
  zmq_curve_keypair: { parameters: ["buffer", "buffer"], result: "i32" },
  zmq_curve_public: { parameters: ["buffer", "buffer"], result: "i32" },
  // Not libzmq's but the C library's, which it is linked with: libzmq cannot close one peer's connection.
  shutdown: { parameters: ["i32", "i32"], result: "i32", optional: true },
} as const;

/** libzmq's C functions by name; `zmq_poll` and `zmq_ctx_term` run on another thread and return promises. */
export type Libzmq = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let loaded: Libzmq | undefined;

/**
 * Opens libzmq, once for each JavaScript thread; it stays open until the process ends.
 * Throws `LockstepError` E_ZMQ that lists what was tried, where no build fits or FFI is denied.
 */
export function loadLibzmq(): Libzmq {
  loaded ??= openFirst(LIBRARIES[`${Deno.build.os}-${Deno.build.arch}`] ?? []);
  return loaded;
}

function openFirst(candidates: string[]): Libzmq {
  // Importing the package's manifest makes Deno fetch the package and know where its files lie.
  const packageUrl = import.meta.resolve("zeromq/package.json");
  const failures: string[] = [];
  for (const candidate of candidates) {
    const library = candidate.startsWith("build/") ? new URL(candidate, packageUrl) : candidate;
    try {
      keepLoaded(library instanceof URL ? fileURLToPath(library) : library);
      return Deno.dlopen(library, SYMBOLS).symbols;
    } catch (error) {
      failures.push(`${candidate} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  throw new LockstepError(
    "E_ZMQ",
    `Cannot load libzmq, which worker processes need, from npm:zeromq@${manifest.version} on ` +
      `${Deno.build.os} ${Deno.build.arch}: ${
        failures.length > 0 ? failures.join("; ") : "no build is known"
      }; ` +
      `allow FFI (--allow-ffi), install libzmq, or use one process (--nproc-per-node=1)`,
  );
}
