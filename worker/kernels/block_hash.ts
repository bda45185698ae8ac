import { HASH_BLOCK_BYTES } from "./hash_text.ts";
import type { Kernels } from "./kernels.ts";

/** float32 numbers that one hash block covers: 64 KiB. Parts that are hashed apart start at multiples of it. */
export const HASH_BLOCK = HASH_BLOCK_BYTES / 4;

/** Four 32-bit lanes. Hashes of disjoint parts of one flat array add up, lane by lane, to that of the whole. */
export type BlockHash = Uint32Array;

/** Numbers in an arena, and where they stand in their flat array. */
export interface HashedPart {
  /** In the arena's memory. */
  byteOffset: number;
  /** Numbers; 0 hashes to zero. */
  length: number;
  /** The number of 64 KiB blocks before it in the flat array. */
  firstBlock: number;
}

/** Writes the hash of `part` to `out`. */
export function hashPart(kernels: Kernels, part: HashedPart, out: BlockHash): void {
  kernels.hashReset();
  if (part.length > 0) kernels.hash(part.byteOffset, part.length, part.firstBlock);
  readHash(kernels, out);
}

/** Writes the running hash of `kernels` to `out`. */
export function readHash(kernels: Kernels, out: BlockHash): void {
  for (let lane = 0; lane < 4; lane++) out[lane] = kernels.hashLane(lane);
}

/** Writes the second running hash of `kernels` to `out`. */
export function readSecondHash(kernels: Kernels, out: BlockHash): void {
  for (let lane = 0; lane < 4; lane++) out[lane] = kernels.hashLane(4 + lane);
}

/** Adds the hash of another part to `total`. */
export function addHash(total: BlockHash, part: BlockHash): void {
  for (let lane = 0; lane < 4; lane++) total[lane] += part[lane];
}

/** 32 lower-case hex digits. */
export function hashHex(hash: BlockHash): string {
  return Array.from(hash, (lane) => lane.toString(16).padStart(8, "0")).join("");
}
