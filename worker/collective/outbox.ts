import { addHash, type BlockHash } from "../kernels/block_hash.ts";
import { encodeHeader, HEADER_BYTES, type Phase, type ReductionKey } from "./codec.ts";
import type { Bytes, Link } from "./link.ts";
import type { Place } from "./places.ts";

/** Numbers that a peer is to get. */
export interface OutgoingFrame {
  readonly phase: Phase;
  readonly bucket: number;
  readonly place: Place;
  /** If it is known already. */
  readonly hash?: BlockHash;
}

/**
 * Frames that one message announces at most where the peer reads them in this member's memory: with 2 MiB a message,
 * messages cost little, and the peer begins early enough.
 */
export const RUN_FRAMES = 8;

interface Message {
  readonly header: Bytes;
  readonly payload: Bytes;
  /** How many frames it is for. */
  readonly frames: number;
}

/** Frames for one peer, in order. Each is hashed when its turn comes, while it is about to be read anyway. */
export class Outbox {
  readonly #frames: OutgoingFrame[] = [];
  #next = 0;
  #message: Message | null = null;
  #key: ReductionKey = { generation: 0, step: 0, attempt: 0 };

  constructor(private readonly link: Link, private readonly sender: { rank: number; nonce: Uint8Array }) {}

  get isEmpty(): boolean {
    return this.#next === this.#frames.length;
  }

  /** Forgets what was not sent; what is pushed from now on belongs to this reduction. */
  begin(key: ReductionKey): void {
    this.clear();
    this.#key = key;
  }

  push(frame: OutgoingFrame): void {
    this.#frames.push(frame);
  }

  /** Sends the first frame, or the first few, if the peer takes them; true if it did. */
  sendOne(): boolean {
    if (this.isEmpty) return false;
    this.#message ??= this.link.lane?.isMapped === true ? this.#announce() : this.#send();
    const { header, payload, frames } = this.#message;
    if (!this.link.trySend(header, payload)) return false;
    this.#message = null;
    this.#next += frames;
    if (this.isEmpty) this.clear();
    return true;
  }

  clear(): void {
    this.#frames.length = 0;
    this.#next = 0;
    this.#message = null;
  }

  /** A frame with its numbers. */
  #send(): Message {
    const frame = this.#frames[this.#next];
    const hash = new Uint32Array(4);
    hashFrame(frame, hash);
    const { bytes } = frame.place;
    return {
      header: this.#header(frame, { position: null, length: bytes.length, hash }),
      payload: bytes,
      frames: 1,
    };
  }

  /** Neighbouring frames that stay where they are: their hashes. */
  #announce(): Message {
    const first = this.#frames[this.#next];
    const run = this.#frames.slice(this.#next, this.#next + RUN_FRAMES);
    const stop = run.findIndex((frame, i) => i > 0 && !follows(run[i - 1], frame));
    const frames = stop < 0 ? run.length : stop;
    const hashes = new Uint32Array(4 * frames);
    const hash = new Uint32Array(4);
    let length = 0;
    for (let i = 0; i < frames; i++) {
      const own = hashes.subarray(4 * i, 4 * i + 4);
      hashFrame(run[i], own);
      addHash(hash, own);
      length += run[i].place.byteLength;
    }
    const header = this.#header(first, { position: first.place.byteOffset, length, hash });
    return { header, payload: new Uint8Array(hashes.buffer), frames };
  }

  #header(
    { phase, bucket, place: { offset } }: OutgoingFrame,
    rest: { position: number | null; length: number; hash: BlockHash },
  ): Bytes {
    const header: Bytes = new Uint8Array(HEADER_BYTES);
    const { generation, step, attempt } = this.#key;
    const { rank: sender, nonce } = this.sender;
    const { position, length, hash } = rest;
    encodeHeader(
      { nonce, generation, step, attempt, phase, sender, bucket, offset, position, length, hash },
      header,
    );
    return header;
  }
}

function hashFrame({ place, hash }: OutgoingFrame, out: BlockHash): void {
  if (hash === undefined) place.hash(out);
  else out.set(hash);
}

/** Whether a frame continues another one where it lies. */
function follows(before: OutgoingFrame, frame: OutgoingFrame): boolean {
  const { byteOffset, byteLength } = before.place;
  return frame.phase === before.phase && frame.bucket === before.bucket &&
    frame.place.byteOffset === byteOffset + byteLength;
}
