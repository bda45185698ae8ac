import { LockstepError } from "./errors.ts";

/** The IPv4 addresses of a host, by this machine's own resolver; empty where it knows none of that name. */
export type ResolveHost = (host: string) => Promise<string[]>;

const AF_INET = 2, SOCK_STREAM = 1;
/** Where `struct addrinfo` has its fields, in bytes, on 64-bit systems. */
const FAMILY = 4, SOCKET_TYPE = 8, SOCKADDR = Deno.build.os === "linux" ? 24 : 32, NEXT = 40, SIZE = 48;
/** Where `struct sockaddr_in` has the address. */
const ADDRESS = 4;
const NUMERIC = /^\d{1,3}(\.\d{1,3}){3}$/;

/**
 * Asks the system's `getaddrinfo`, so that hosts files, Slurm's and Kubernetes's names mean what they mean to everybody else.
 * Deno's own resolver would need permission to use the network, which only libzmq has here. Throws E_CONFIG where the system
 * has no such function.
 */
export const resolveHost: ResolveHost = async (host) => {
  if (NUMERIC.test(host)) return [host];
  const libc = openLibc();
  const hints = new Int32Array(SIZE / 4);
  hints[FAMILY / 4] = AF_INET;
  hints[SOCKET_TYPE / 4] = SOCK_STREAM;
  const found = new BigUint64Array(1);
  const name = new TextEncoder().encode(`${host}\0`);
  try {
    if (await libc.symbols.getaddrinfo(name, null, hints, found) !== 0) return [];
    const addresses = [...addressesIn(found[0])];
    libc.symbols.freeaddrinfo(pointer(found[0]));
    return [...new Set(addresses)];
  } finally {
    libc.close(); // the C library itself stays: this process is made of it
  }
};

function* addressesIn(first: bigint): Generator<string> {
  for (let at = first; at !== 0n;) {
    const info = new Deno.UnsafePointerView(pointer(at));
    const address = new Deno.UnsafePointerView(pointer(info.getBigUint64(SOCKADDR)));
    yield [0, 1, 2, 3].map((i) => address.getUint8(ADDRESS + i)).join(".");
    at = info.getBigUint64(NEXT);
  }
}

function openLibc() {
  const path = Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6";
  try {
    return Deno.dlopen(path, {
      getaddrinfo: {
        parameters: ["buffer", "pointer", "buffer", "buffer"],
        result: "i32",
        nonblocking: true, // it may ask a name server
      },
      freeaddrinfo: { parameters: ["pointer"], result: "void" },
    });
  } catch (cause) {
    throw new LockstepError(
      "E_CONFIG",
      "Cannot find out which machine a host's name means on this system: give --node_rank on each node",
      { cause },
    );
  }
}

function pointer(address: bigint): Deno.PointerObject {
  const made = Deno.UnsafePointer.create(address);
  if (made === null) throw new RangeError("an address of zero");
  return made;
}
