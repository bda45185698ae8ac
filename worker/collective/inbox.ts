import { LockstepError } from "../../shared/errors.ts";
import { type BlockHash, hashHex } from "../kernels/block_hash.ts";
import { decodeHeader, type FrameHeader, HEADER_BYTES, type Phase, type ReductionKey } from "./codec.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Bytes, Link } from "./link.ts";
import type { Place, Places } from "./places.ts";

/** A frame whose numbers are in place and whose hash is right. */
export interface Accepted {
  phase: Phase;
  /** Of a partial sum: its tree node. */
  bucket: number;
  /** Its number among the frames of its segment. */
  frame: number;
  hash: BlockHash;
}

/** Frames that were not taken, since the exchange was made. */
export interface DroppedFrames {
  /** With another generation's nonce. */
  nonce: number;
  /** Of an earlier step or attempt. */
  stale: number;
}

interface Expected extends Accepted {
  place: Place;
  length: number;
}

/** Receives frames straight to their places, and lets nothing pass that this reduction does not expect. */
export class Inbox {
  readonly dropped: DroppedFrames = { nonce: 0, stale: 0 };
  readonly #header: Bytes = new Uint8Array(HEADER_BYTES);
  readonly #hash: BlockHash = new Uint32Array(4);
  readonly #seen = new Set<string>();
  #key: ReductionKey = { generation: 0, step: 0, attempt: 0 };
  /** Of the frame that is being received. */
  #expected: Expected | null = null;

  constructor(
    private readonly options: { plan: ExchangePlan; places: Places; nonce: Uint8Array },
  ) {}

  /** Expects the frames of this reduction from now on. */
  begin(key: ReductionKey): void {
    this.#key = key;
    this.#seen.clear();
  }

  /**
   * Takes the next frame of `peer`; null if there is none, "dropped" for one that belongs to the past. Throws E_SHORT for
   * one that is cut, E_CRC for other bytes than were sent, E_STALE and E_DECODE for one that is not expected.
   */
  take(peer: number, link: Link): Accepted | "dropped" | null {
    const sizes = link.tryReceive(this.#header, (headerBytes) => {
      this.#expected = this.#expect(peer, decodeHeader(this.#header.subarray(0, headerBytes)));
      return this.#expected?.place.bytes ?? null;
    });
    if (sizes === null) return null;
    if (sizes.payload < 0) throw this.#refuse("E_SHORT", peer, "a frame without a payload");
    const expected = this.#expected;
    if (expected === null) return "dropped";
    if (sizes.payload !== expected.length) {
      throw this.#refuse("E_SHORT", peer, `${sizes.payload} bytes where its header says ${expected.length}`);
    }
    this.#verify(peer, expected);
    return expected;
  }

  #verify(peer: number, { place, hash, phase }: Expected): void {
    place.hash(this.#hash);
    if (this.#hash.every((lane, i) => lane === hash[i])) return;
    throw this.#refuse(
      "E_CRC",
      peer,
      `a ${phase} frame at ${place.offset} whose bytes hash to ${hashHex(this.#hash)}, not ${hashHex(hash)}`,
    );
  }

  /** Finds out where a frame belongs; null if it is to be dropped. */
  #expect(peer: number, header: FrameHeader): Expected | null {
    if (header.nonce.some((byte, i) => byte !== this.options.nonce[i])) {
      this.dropped.nonce++;
      return null;
    }
    const age = compareKeys(header, this.#key);
    if (age < 0) {
      this.dropped.stale++;
      return null;
    }
    if (age > 0) {
      throw this.#refuse("E_STALE", peer, `a frame of step ${header.step}, attempt ${header.attempt}`);
    }
    const expected = this.#locate(peer, header);
    const id = `${header.phase} ${header.bucket} ${header.offset}`;
    if (
      expected === null || expected.length !== header.length || header.sender !== peer || this.#seen.has(id)
    ) {
      throw this.#refuse("E_DECODE", peer, `an unexpected frame (${id}, ${header.length} bytes)`);
    }
    this.#seen.add(id);
    return expected;
  }

  #locate(peer: number, { phase, bucket, offset, hash }: FrameHeader): Expected | null {
    const { plan, places } = this.options;
    const { rank } = plan.shape;
    if (phase === "squares") {
      const place = places.squares(peer);
      return place.offset === offset
        ? { phase, bucket, frame: 0, hash, place, length: place.bytes.length }
        : null;
    }
    const frames = plan.frames[phase === "partial" ? rank : peer];
    const frame = frames.findIndex((part) => part.start === offset);
    if (frame < 0 || (phase === "partial" && plan.owners.get(bucket) !== peer)) return null;
    const place = phase === "partial"
      ? places.partial(places.scratchBase(bucket), frames[frame])
      : places.result(frames[frame]);
    return { phase, bucket, frame, hash, place, length: place.bytes.length };
  }

  #refuse(code: "E_SHORT" | "E_CRC" | "E_STALE" | "E_DECODE", peer: number, what: string): LockstepError {
    const { step, attempt } = this.#key;
    return new LockstepError(
      code,
      `Cannot reduce step ${step}, attempt ${attempt}: rank ${peer} sent ${what}`,
    );
  }
}

/** Negative if `a` is the earlier reduction, positive if it is the later one. */
function compareKeys(a: ReductionKey, b: ReductionKey): number {
  return a.generation - b.generation || a.step - b.step || a.attempt - b.attempt;
}
