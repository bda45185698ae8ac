import { HASH_BLOCK } from "../kernels/block_hash.ts";

/** Neighbouring numbers of the flat gradient. */
export interface Part {
  readonly start: number;
  readonly length: number;
}

/**
 * float32 numbers in the largest frame: 256 KiB, which stay in a core's cache between the copies, the sum and the hash.
 * Two processes on two cores reduce 43 MB in 52 ms with it, in 63 ms with 512 KiB and in 94 ms with 1 MiB.
 */
export const FRAME_ELEMENTS = 65_536;

/**
 * Cuts a part of a gradient, which starts at a multiple of a block of 64 KiB, into one segment for each of `count` members,
 * equal but for one block; ends lie at multiples of a block too, so that hashes and atoms belong to one member. Members
 * beyond the blocks get empty segments.
 */
export function segmentsOf({ start, length }: Part, count: number): Part[] {
  const blocks = Math.ceil(length / HASH_BLOCK);
  const end = (member: number) => Math.min(length, Math.floor(blocks * member / count) * HASH_BLOCK);
  return Array.from({ length: count }, (_, member) => ({
    start: start + end(member),
    length: end(member + 1) - end(member),
  }));
}

/** Cuts a segment into the frames that carry it; `frameElements` is a multiple of a hash block. */
export function framesOf(segment: Part, frameElements = FRAME_ELEMENTS): Part[] {
  return Array.from({ length: Math.ceil(segment.length / frameElements) }, (_, i) => ({
    start: segment.start + i * frameElements,
    length: Math.min(frameElements, segment.length - i * frameElements),
  }));
}
