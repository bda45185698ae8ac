import { LockstepError } from "../../shared/errors.ts";
import type { BlockHash } from "../kernels/block_hash.ts";
import type { StepKey } from "./collective.ts";

/** Bytes of the header that precedes each frame's payload. */
export const HEADER_BYTES = 64;

/** Bytes of the number that names a generation of members. */
export const NONCE_BYTES = 16;

const VERSION = 1;

/** What a frame carries: a partial sum of a tree node, a piece of the reduced gradient, or the square sums of its atoms. */
export const PHASES = ["partial", "result", "squares"] as const;
export type Phase = (typeof PHASES)[number];

/** Which reduction a frame belongs to. */
export interface ReductionKey extends StepKey {
  generation: number;
}

/**
 * A frame's header. On the wire, little-endian: nonce 16 bytes, generation u32, step u32, attempt u32, phase u8, version
 * u8, sender u16, bucket u32, offset u64, length u32, hash 4 × u32.
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
  view.setUint8(28, PHASES.indexOf(header.phase));
  view.setUint8(29, VERSION);
  view.setUint16(30, header.sender, true);
  view.setUint32(32, header.bucket, true);
  view.setBigUint64(36, BigInt(header.offset), true);
  view.setUint32(44, header.length, true);
  for (let lane = 0; lane < 4; lane++) view.setUint32(48 + 4 * lane, header.hash[lane], true);
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
  const phase = PHASES.at(view.getUint8(28));
  if (version !== VERSION || phase === undefined) {
    throw new LockstepError(
      "E_DECODE",
      `Cannot read a gradient frame of version ${version}, phase ${view.getUint8(28)}: ` +
        `this program knows version ${VERSION} and phases 0 to ${PHASES.length - 1}`,
    );
  }
  return {
    nonce: bytes.subarray(0, NONCE_BYTES),
    generation: view.getUint32(16, true),
    step: view.getUint32(20, true),
    attempt: view.getUint32(24, true),
    phase,
    sender: view.getUint16(30, true),
    bucket: view.getUint32(32, true),
    offset: Number(view.getBigUint64(36, true)),
    length: view.getUint32(44, true),
    hash: Uint32Array.from([48, 52, 56, 60], (at) => view.getUint32(at, true)),
  };
}
