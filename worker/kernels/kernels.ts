import wabt from "wabt";
import { arithmeticText } from "./arithmetic_text.ts";
import { dropoutText } from "./dropout_text.ts";
import { hashText } from "./hash_text.ts";

/**
 * Kernels over numbers in place, bound to one arena's memory. Pointers are byte offsets in it, `n` counts float32
 * numbers, and every operation is rounded to float32 unless it says float64. WebAssembly defines each result bit, so
 * they are the same on every CPU. Nothing is allocated.
 */
export interface Kernels {
  /** dst = a + b; dst may be a or b. */
  add(dst: number, a: number, b: number, n: number): void;
  /** dst = a · s; dst may be a. */
  scale(dst: number, a: number, n: number, s: number): void;
  /** dst = a / s; dst is in the result memory. */
  divide(dst: number, a: number, n: number, s: number): void;
  /**
   * AdamW in place: G = g·scale, m = m·beta1 + G·(1 − beta1), v = v·beta2 + G²·(1 − beta2),
   * p = p·decay − m·step / (√v·root + eps).
   */
  adamw(
    p: number,
    g: number,
    m: number,
    v: number,
    n: number,
    scale: number,
    beta1: number,
    beta2: number,
    decay: number,
    step: number,
    root: number,
    eps: number,
  ): void;
  /** The sum of squares in float64, in a fixed order: element i goes to sum i mod 4, then (s0 + s2) + (s1 + s3). */
  squares(a: number, n: number): number;
  /** Empties the running hashes. */
  hashReset(): void;
  /** Adds n > 0 numbers to the running hash; they start block number `block` of 64 KiB of their flat array. */
  hash(a: number, n: number, block: number): void;
  /** dst = a / s in the result memory, and the running hash takes the n > 0 quotients, as `hash` does. */
  finish(dst: number, a: number, n: number, block: number, s: number): void;
  /** dst = (a + b) / s, as `finish` otherwise. */
  finishAdd(dst: number, a: number, b: number, n: number, block: number, s: number): void;
  /**
   * dst = (a + n > 0 numbers of the peer's memory at src) / s in the result memory. The running hash takes what was read, a
   * second one the quotients.
   */
  finishFetchAdd(dst: number, a: number, src: number, n: number, block: number, s: number): void;
  /** dst = n > 0 numbers of the peer's memory at src, and the running hash takes what was read, as `hash` does. */
  fetch(dst: number, src: number, n: number, block: number): void;
  /** dst = a + what `fetch` would read; dst may be a. The running hash takes what was read. */
  fetchAdd(dst: number, a: number, src: number, n: number, block: number): void;
  /** 32-bit lane 0 … 3 of the running hash, signed; 4 … 7 of the second one. */
  hashLane(lane: number): number;
  /**
   * dst_i = hash(key, index + i) ≥ threshold ? scale : 0, where key, index (64 bits, as low and high word) and
   * threshold are unsigned. The share of zeros is threshold / 2^32.
   */
  dropoutMask(
    dst: number,
    n: number,
    key0: number,
    key1: number,
    indexLow: number,
    indexHigh: number,
    threshold: number,
    scale: number,
  ): void;
}

const NAMES = [
  "add",
  "scale",
  "divide",
  "adamw",
  "squares",
  "hashReset",
  "hash",
  "finish",
  "finishAdd",
  "finishFetchAdd",
  "fetch",
  "fetchAdd",
  "hashLane",
  "dropoutMask",
] as const satisfies (keyof Kernels)[];

/** A memory that kernels can be bound to: an arena. */
export interface KernelMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
}

const FEATURES = { simd: true, threads: true, multi_memory: true };

/** Assembles the kernels for shared or unshared memory (about 30 ms). Other threads can be sent the module. */
export async function compileKernels({ shared }: { shared: boolean }): Promise<WebAssembly.Module> {
  const limits = shared ? "1 65536 shared" : "1";
  const text = `(module
    (memory $arena (import "memory" "arena") ${limits})
    (memory $result (import "memory" "result") ${limits})
    (memory $peer (import "memory" "peer") ${limits})
    ${arithmeticText}
    ${hashText}
    ${dropoutText})`;
  const parsed = (await wabt()).parseWat("kernels.wat", text, FEATURES);
  try {
    return await WebAssembly.compile(new Uint8Array(parsed.toBinary({}).buffer));
  } finally {
    parsed.destroy();
  }
}

/**
 * Kernels over `arena`; {@link Kernels.divide} and {@link Kernels.finish} write to `result`, {@link Kernels.fetch} and
 * {@link Kernels.fetchAdd} read from `peer`: both are `arena` itself unless given.
 */
export function bindKernels(
  module: WebAssembly.Module,
  { arena, result = arena, peer = arena }: {
    arena: KernelMemory;
    result?: KernelMemory;
    peer?: Pick<KernelMemory, "memory">;
  },
): Kernels {
  const { exports } = new WebAssembly.Instance(module, {
    memory: { arena: arena.memory, result: result.memory, peer: peer.memory },
  });
  if (!hasKernels(exports)) throw new Error("the assembled module lacks a kernel");
  return exports;
}

/** {@link compileKernels} and {@link bindKernels} in one, for a single thread. */
export async function loadKernels(arena: KernelMemory): Promise<Kernels> {
  return bindKernels(await compileKernels({ shared: arena.shared }), { arena });
}

function hasKernels(exports: WebAssembly.Exports): exports is WebAssembly.Exports & Kernels {
  return NAMES.every((name) => typeof exports[name] === "function");
}
