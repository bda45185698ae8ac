import { LockstepError } from "../shared/errors.ts";

const FLOAT_BYTES = 4;
const PAGE_BYTES = 65_536; // of WebAssembly
const HUGE_PAGE_ADVICE = 14; // Linux' MADV_HUGEPAGE

/** Regions start at multiples of this many bytes: a cache line, and four SIMD vectors. */
export const REGION_ALIGNMENT = 64;

/** What 32-bit WebAssembly addresses can reach. */
const MAX_BYTES = 4 * 2 ** 30 - PAGE_BYTES;

/** A named part of an arena: flat float32 numbers. */
export interface Region {
  /** Where it starts in the arena's memory, for kernels: a multiple of 64. */
  readonly byteOffset: number;
  /** Numbers in it. */
  readonly length: number;
  /** The process-wide address, for other native code; 0 where FFI is not allowed. */
  readonly address: bigint;
  /** The numbers, in place: an ordinary `ArrayBuffer`, which ONNX Runtime takes without copying. */
  readonly view: Float32Array<ArrayBuffer>;
}

/** An arena on its way to another thread, by `postMessage`. */
export interface SharedArena<Name extends string> {
  readonly memory: WebAssembly.Memory;
  readonly lengths: Readonly<Record<Name, number>>;
}

/** Views do not keep alive the memory whose address they were made of, so their buffer does it here. */
const memoryOf = new WeakMap<ArrayBuffer, WebAssembly.Memory>();

/**
 * One memory that kernels, engines and the threads of a process use in place. It is sized before the start and never
 * grows, so that no address ever changes.
 *
 * It is a shared WebAssembly.Memory, and each thread binds kernels to it. Because ONNX Runtime refuses
 * SharedArrayBuffers, views are made of its native address. Where FFI is not allowed there is one thread, and the
 * memory is unshared.
 *
 * @example
 * ```ts
 * import { Arena } from "./arena.ts";
 *
 * const arena = Arena.create({ parameters: 1000, gradient: 1000 });
 * arena.region("parameters").view.fill(0.5);
 * ```
 */
export class Arena<Name extends string> {
  /** True if other threads can adopt it. */
  readonly shared: boolean;
  readonly #regions = new Map<string, Region>();

  private constructor(readonly memory: WebAssembly.Memory, readonly lengths: Readonly<Record<Name, number>>) {
    const { buffer, address } = nativeView(memory);
    this.shared = address !== 0n;
    memoryOf.set(buffer, memory);

    let byteOffset = 0;
    for (const [name, length] of Object.entries<number>(lengths)) {
      this.#regions.set(name, {
        byteOffset,
        length,
        address: this.shared ? address + BigInt(byteOffset) : 0n,
        view: new Float32Array(buffer, byteOffset, length),
      });
      byteOffset += regionBytes(length);
    }
  }

  /**
   * A new arena with a region of each name, `lengths` float32 numbers long, zero at first.
   * Throws E_MEMORY for more than 4 GiB, or when the system refuses the memory.
   */
  static create<Name extends string>(lengths: Readonly<Record<Name, number>>): Arena<Name> {
    const bytes = Arena.bytes(lengths);
    if (bytes > MAX_BYTES) throw refusal(bytes, "one arena holds at most 4 GiB");
    const pages = bytes / PAGE_BYTES;
    try {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isFfiAllowed() });
      return new Arena(memory, lengths);
    } catch (error) {
      if (error instanceof RangeError) throw refusal(bytes, `the system refused it (${error.message})`);
      throw error;
    }
  }

  /** The same memory in another thread, from {@link Arena.share}. */
  static adopt<Name extends string>(shared: SharedArena<Name>): Arena<Name> {
    return new Arena(shared.memory, shared.lengths);
  }

  /** Bytes of memory that an arena of these regions takes: whole pages of 64 KiB. */
  static bytes(lengths: Readonly<Record<string, number>>): number {
    let bytes = REGION_ALIGNMENT; // kernels may read, never write, a little beyond the last region
    for (const length of Object.values(lengths)) bytes += regionBytes(length);
    return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  }

  /** The region of that name. */
  region(name: Name): Region {
    const region = this.#regions.get(name);
    if (region === undefined) {
      throw new RangeError(`Cannot find region ${name}: the arena was made without it`);
    }
    return region;
  }

  /** What another thread needs for {@link Arena.adopt}. */
  share(): SharedArena<Name> {
    return { memory: this.memory, lengths: this.lengths };
  }

  /** Asks the kernel for 2 MiB pages, which make a step 6 to 12 % faster; false where that is not possible. */
  adviseHugePages(): boolean {
    if (!this.shared || Deno.build.os !== "linux") return false;
    const bytes = new Uint8Array(this.memory.buffer);
    for (const library of ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`]) {
      try {
        const libc = Deno.dlopen(library, {
          madvise: { parameters: ["buffer", "usize", "i32"], result: "i32" },
        });
        const status = libc.symbols.madvise(bytes, BigInt(bytes.byteLength), HUGE_PAGE_ADVICE);
        libc.close();
        return status === 0;
      } catch {
        // Another C library, or FFI allowed for other files only: the advice is a bonus, not a need.
      }
    }
    return false;
  }
}

/** An ordinary ArrayBuffer over the memory and its native address, which is 0 for unshared memory. */
function nativeView(memory: WebAssembly.Memory): { buffer: ArrayBuffer; address: bigint } {
  const buffer = memory.buffer;
  if (buffer instanceof ArrayBuffer) return { buffer, address: 0n };
  const pointer = Deno.UnsafePointer.of(new Uint8Array(buffer));
  if (pointer === null) throw new Error("a shared memory has no address");
  return {
    buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, buffer.byteLength),
    address: Deno.UnsafePointer.value(pointer),
  };
}

function regionBytes(length: number): number {
  return Math.ceil(length * FLOAT_BYTES / REGION_ALIGNMENT) * REGION_ALIGNMENT;
}

function isFfiAllowed(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

function refusal(bytes: number, reason: string): LockstepError {
  const gib = (bytes / 2 ** 30).toFixed(2);
  return new LockstepError(
    "E_MEMORY",
    `Cannot reserve ${gib} GiB for the model's numbers as ${reason}: choose a smaller model or use more workers`,
  );
}
