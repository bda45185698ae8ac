import { z } from "zod";

/** Where another process of this host finds memory of a process: an anonymous file, mapped over part of an arena. */
export const memoryOffer = z.strictObject({
  /** The host, as long as it runs. */
  bootId: z.string().max(64),
  pid: z.int().positive(),
  fd: z.int().nonnegative(),
  /** The file holds the arena's bytes from here on, a multiple of 64 KiB, … */
  from: z.int().nonnegative(),
  /** … up to here, and then the token. */
  to: z.int().positive(),
  /** 32 hex digits by which a reader knows that it has opened the right file. */
  token: z.string().regex(/^[0-9a-f]{32}$/),
});
export type MemoryOffer = z.infer<typeof memoryOffer>;

const WASM_PAGE = 65_536;
const TOKEN_BYTES = 16;
const PROT_READ = 1, PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11, MAP_PRIVATE_FIXED_ANONYMOUS = 0x32;
const MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033, F_GET_SEALS = 1034;
const SEAL_SEAL = 1, SEAL_SHRINK = 2, SEAL_GROW = 4;
const O_RDONLY_CLOEXEC_NONBLOCK = 0x80800, O_RDWR = 2;
const FUTEX_WAIT = 0, FUTEX_WAKE = 1;
const SYS_FUTEX = Deno.build.arch === "aarch64" ? 98n : 202n;
const SEEK_END = 2;
const OWNER_ONLY = 0o600;

const SYMBOLS = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "usize" },
  close: { parameters: ["i32"], result: "i32" },
  syscall: { parameters: ["isize", "usize", "i32", "i32", "buffer", "usize", "i32"], result: "isize" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
type Bytes = Uint8Array<ArrayBuffer>;

/** Part of a memory of this process that others can map. They read it; nobody else can write it. */
export class ExposedMemory {
  private constructor(
    /** Keeps the memory, and with it its address. */
    readonly memory: WebAssembly.Memory,
    readonly offer: MemoryOffer,
    private readonly libc: Libc,
  ) {}

  /**
   * Puts the pages of `memory` from byte `from` on into an anonymous file, where they keep their address and what is in
   * them; nobody may write to them meanwhile. The file has no name, and is gone with the last process that maps it,
   * however that ends. Null where the system has no such files, or refuses one.
   */
  static expose(memory: WebAssembly.Memory, from = 0): ExposedMemory | null {
    const libc = loadLibc();
    const bootId = libc === null ? null : readBootId(libc);
    if (libc === null || bootId === null) return null;
    const start = Math.floor(from / WASM_PAGE) * WASM_PAGE;
    const bytes = memory.buffer.byteLength - start;
    const fd = libc.memfd_create(cString("lockstep"), MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return null;
    const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
    const address = addressOf(memory) + BigInt(start);
    const isMapped = libc.fchmod(fd, OWNER_ONLY) === 0 &&
      libc.ftruncate(fd, BigInt(bytes + TOKEN_BYTES)) === 0 &&
      libc.fcntl(fd, F_ADD_SEALS, SEAL_SHRINK | SEAL_GROW | SEAL_SEAL) === 0 &&
      writeAll(libc, fd, { bytes: bytesAt(address, bytes), at: 0 }) &&
      writeAll(libc, fd, { bytes: token, at: bytes }) &&
      map(libc, { address, bytes, protection: PROT_READ_WRITE, flags: MAP_SHARED_FIXED, fd });
    if (!isMapped) {
      libc.close(fd);
      return null;
    }
    const offer = { bootId, pid: Deno.pid, fd, from: start, to: start + bytes, token: token.toHex() };
    return new ExposedMemory(memory, offer, libc);
  }

  /** Whether `memory` is this one, as a thread may see it through several objects. */
  is(memory: WebAssembly.Memory): boolean {
    return addressOf(memory) === addressOf(this.memory);
  }

  /** From now on nobody new can map it. The memory stays as it is. */
  close(): void {
    this.libc.close(this.offer.fd);
  }
}

/** A peer's memory as this process sees it: at the peer's byte offsets, and for reading only. */
export class MappedMemory {
  private constructor(readonly memory: WebAssembly.Memory, private readonly libc: Libc) {}

  /**
   * Maps what a peer offers, for reading, but for the first `writableBytes`, whole pages of WebAssembly; null if the peer
   * is on another host or gone, or if it is not what it says.
   */
  static map(offer: MemoryOffer, writableBytes = 0): MappedMemory | null {
    const libc = loadLibc();
    if (libc === null || readBootId(libc) !== offer.bootId) return null;
    const { pid, fd: peerFd, from, to } = offer;
    if (from % WASM_PAGE !== 0 || to % WASM_PAGE !== 0 || from >= to || to / WASM_PAGE > 65_536) return null;
    const mode = O_RDONLY_CLOEXEC_NONBLOCK | (writableBytes > 0 ? O_RDWR : 0);
    const fd = libc.open(cString(`/proc/${pid}/fd/${peerFd}`), mode);
    if (fd < 0) return null;
    try {
      if (!isOffered(libc, fd, offer)) return null;
      const pages = to / WASM_PAGE;
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      const address = addressOf(memory) + BigInt(from);
      const target = { address, bytes: to - from, protection: PROT_READ, flags: MAP_SHARED_FIXED, fd };
      const start = { ...target, bytes: writableBytes, protection: PROT_READ_WRITE };
      const isMapped = map(libc, target) && (writableBytes === 0 || map(libc, start));
      return isMapped ? new MappedMemory(memory, libc) : null;
    } catch (error) {
      if (error instanceof RangeError) return null; // no address space is left
      throw error;
    } finally {
      libc.close(fd);
    }
  }

  /** Lets go of the peer's pages; what is read here afterwards is zero. */
  unmap(): void {
    map(this.libc, {
      address: addressOf(this.memory),
      bytes: this.memory.buffer.byteLength,
      protection: PROT_READ_WRITE,
      flags: MAP_PRIVATE_FIXED_ANONYMOUS,
      fd: -1,
    });
  }
}

/** A word of an exposed memory on which threads of several processes sleep and wake each other. */
export class Futex {
  readonly #address: bigint;
  readonly #timeout = new BigInt64Array(2); // seconds, nanoseconds

  constructor(memory: WebAssembly.Memory, byteOffset: number) {
    this.#address = addressOf(memory) + BigInt(byteOffset);
  }

  /** Sleeps until someone wakes, at most `ms`; not at all if the word is not `value`, and maybe for no reason. */
  wait(value: number, ms: number): void {
    this.#timeout[0] = BigInt(Math.floor(ms / 1000));
    this.#timeout[1] = BigInt(Math.round(ms % 1000 * 1e6));
    loadLibc()?.syscall(SYS_FUTEX, this.#address, FUTEX_WAIT, value, this.#timeout, 0n, 0);
  }

  /** Wakes one thread that sleeps in `wait`. */
  wake(): void {
    loadLibc()?.syscall(SYS_FUTEX, this.#address, FUTEX_WAKE, 1, null, 0n, 0);
  }
}

/** A file of the right size that can never shrink under its readers, and with the right token. */
function isOffered(libc: Libc, fd: number, { from, to, token }: MemoryOffer): boolean {
  const bytes = to - from;
  const given = new Uint8Array(TOKEN_BYTES);
  return (libc.fcntl(fd, F_GET_SEALS, 0) & SEAL_SHRINK) !== 0 &&
    libc.lseek(fd, 0n, SEEK_END) === BigInt(bytes + TOKEN_BYTES) &&
    libc.pread(fd, given, BigInt(TOKEN_BYTES), BigInt(bytes)) === BigInt(TOKEN_BYTES) &&
    given.toHex() === token;
}

function map(
  libc: Libc,
  { address, bytes, protection, flags, fd }: {
    address: bigint;
    bytes: number;
    protection: number;
    flags: number;
    fd: number;
  },
): boolean {
  return libc.mmap(address, BigInt(bytes), protection, flags, fd, 0n) === address;
}

function writeAll(libc: Libc, fd: number, { bytes, at }: { bytes: Bytes; at: number }): boolean {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done);
    const written = Number(libc.pwrite(fd, rest, BigInt(rest.length), BigInt(at + done)));
    if (written <= 0) return false;
    done += written;
  }
  return true;
}

function readBootId(libc: Libc): string | null {
  const fd = libc.open(cString("/proc/sys/kernel/random/boot_id"), O_RDONLY_CLOEXEC_NONBLOCK);
  if (fd < 0) return null;
  const text = new Uint8Array(36);
  const read = Number(libc.pread(fd, text, BigInt(text.length), 0n));
  libc.close(fd);
  return read === text.length ? new TextDecoder().decode(text) : null;
}

/** Shared memories never move. */
function addressOf(memory: WebAssembly.Memory): bigint {
  const pointer = Deno.UnsafePointer.of(new Uint8Array(memory.buffer));
  if (pointer === null) throw new Error("a shared memory has no address");
  return Deno.UnsafePointer.value(pointer);
}

function bytesAt(address: bigint, bytes: number): Bytes {
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null) throw new Error("a shared memory has no address");
  return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes));
}

function cString(text: string): Bytes {
  return new TextEncoder().encode(text + "\0");
}

let libc: Libc | null | undefined;

/** Null on systems other than Linux, and where FFI is not allowed. */
function loadLibc(): Libc | null {
  libc ??= openLibc();
  return libc;
}

function openLibc(): Libc | null {
  if (Deno.build.os !== "linux") return null;
  for (const library of ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`]) {
    try {
      return Deno.dlopen(library, SYMBOLS).symbols;
    } catch {
      // Another C library, or FFI is not allowed: members then send through sockets.
    }
  }
  return null;
}
