import { LockstepError } from "../../shared/errors.ts";
import type { BlockHash } from "../kernels/block_hash.ts";
import type { StepKey } from "./collective.ts";

/** Bytes of the header that precedes each frame's payload. */
export const HEADER_BYTES = 64;

/** Bytes of the number that names a generation of members. */
export const NONCE_BYTES = 16;

const VERSION = 2;

/** Where a header says its phase. */
const PHASE_AT = 28;

/** Set in the byte of the phase where the payload does not follow but lies in the sender's memory. */
const IN_PLACE = 0x80;

/**
 * What a frame carries: a partial sum of a tree node, a piece of the reduced gradient, or the square sums of its atoms;
 * or a note about memory: what the peer may map, that it is mapped, that all that follows is there, that there is news.
 */
export const PHASES = ["partial", "result", "squares", "offer", "mapped", "moved", "wake"] as const;
export type Phase = (typeof PHASES)[number];

/** Phases that links deal with among themselves. */
export const NOTES = ["offer", "mapped", "moved", "wake"] as const satisfies Phase[];
export type Note = (typeof NOTES)[number];

/** Which reduction a frame belongs to. */
export interface ReductionKey extends StepKey {
  generation: number;
}

/**
 * A frame's header. On the wire, little-endian: nonce 16 bytes, generation u32, step u32, attempt u32, phase u8, version
 * u8, sender u16, bucket u32, offset u32, position u32, length u32, hash 4 × u32.
 */
export interface FrameHeader extends ReductionKey {
  nonce: Uint8Array;
  phase: Phase;
  /** The rank that sends it. */
  sender: number;
  /** The tree node whose sum this is part of. */
  bucket: number;
  /** Where the payload starts, in numbers of the flat gradient (squares: in atoms). */
  offset: number;
  /** Where the payload lies in the sender's arena, in bytes; null if it follows. */
  position: number | null;
  /** Bytes of the payload. */
  length: number;
  /** Of the payload; see BlockHash. */
  hash: BlockHash;
}

/** Writes a header into `out`, HEADER_BYTES long. */
export function encodeHeader(header: FrameHeader, out: Uint8Array): void {
  const view = new DataView(out.buffer, out.byteOffset, HEADER_BYTES);
  out.set(header.nonce);
  view.setUint32(16, header.generation, true);
  view.setUint32(20, header.step, true);
  view.setUint32(24, header.attempt, true);
  view.setUint8(PHASE_AT, PHASES.indexOf(header.phase) | (header.position === null ? 0 : IN_PLACE));
  view.setUint8(29, VERSION);
  view.setUint16(30, header.sender, true);
  view.setUint32(32, header.bucket, true);
  view.setUint32(36, header.offset, true);
  view.setUint32(40, header.position ?? 0, true);
  view.setUint32(44, header.length, true);
  for (let lane = 0; lane < 4; lane++) view.setUint32(48 + 4 * lane, header.hash[lane], true);
}

/** Which note of a generation these bytes are the header of; null if they are none. */
export function noteOf(bytes: Uint8Array, nonce: Uint8Array): Note | null {
  if (bytes.length !== HEADER_BYTES || !nonce.every((byte, i) => byte === bytes[i])) return null;
  return NOTES.find((note) => bytes[PHASE_AT] === PHASES.indexOf(note)) ?? null;
}

/** Reads a header. Throws E_SHORT for less than HEADER_BYTES and E_DECODE for another version or an unknown phase. */
export function decodeHeader(bytes: Uint8Array): FrameHeader {
  if (bytes.byteLength < HEADER_BYTES) {
    throw new LockstepError(
      "E_SHORT",
      `Cannot read a gradient frame as its header must have ${HEADER_BYTES} bytes: it has ${bytes.byteLength}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const version = view.getUint8(29);
  const kind = view.getUint8(PHASE_AT);
  const phase = PHASES.at(kind & ~IN_PLACE);
  if (version !== VERSION || phase === undefined) {
    throw new LockstepError(
      "E_DECODE",
      `Cannot read a gradient frame of version ${version}, phase ${kind}: ` +
        `this program knows version ${VERSION} and phases 0 to ${PHASES.length - 1}`,
    );
  }
  const hash = new Uint32Array(4);
  for (let lane = 0; lane < 4; lane++) hash[lane] = view.getUint32(48 + 4 * lane, true);
  return {
    nonce: bytes.subarray(0, NONCE_BYTES),
    generation: view.getUint32(16, true),
    step: view.getUint32(20, true),
    attempt: view.getUint32(24, true),
    phase,
    sender: view.getUint16(30, true),
    bucket: view.getUint32(32, true),
    offset: view.getUint32(36, true),
    position: (kind & IN_PLACE) === 0 ? null : view.getUint32(40, true),
    length: view.getUint32(44, true),
    hash,
  };
}
