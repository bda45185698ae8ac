import { REGION_ALIGNMENT } from "../arena.ts";
import { type BlockHash, hashHex, readHash, readSecondHash } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { decodeHeader, type FrameHeader, HEADER_BYTES, type Phase, type ReductionKey } from "./codec.ts";
import { PeerError } from "./peer_error.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Bytes, Lane, Link } from "./link.ts";
import { RUN_FRAMES } from "./outbox.ts";
import type { Place, Places } from "./places.ts";

/** Where the numbers of a frame are as long as they are in the memory of the peer that announced them. */
export interface Source {
  readonly peer: number;
  /** With the peer's arena as their `peer` memory. */
  readonly kernels: Kernels;
  /** A byte offset of that arena. */
  readonly position: number;
}

/** A frame that was expected, with the right hash and in its place, unless it still has a source. */
export interface Accepted {
  readonly phase: Phase;
  /** Of a partial sum: its tree node. */
  readonly bucket: number;
  /** Its number among the frames of its segment. */
  readonly frame: number;
  readonly hash: BlockHash;
  readonly place: Place;
  /** Only partial sums have one: they are read when they are added. */
  readonly source: Source | null;
}

/** Frames that were not taken, since the exchange was made. */
export interface DroppedFrames {
  /** With another generation's nonce. */
  nonce: number;
  /** Of an earlier step or attempt. */
  stale: number;
}

interface Located {
  readonly frame: number;
  readonly place: Place;
}

/** What a message that is being received stands for. */
interface Expected {
  readonly header: FrameHeader;
  readonly located: readonly Located[];
  /** Of the first frame, if they are announced. */
  readonly source: Source | null;
  /** Where its second part goes. */
  readonly payload: Bytes;
}

/** Receives frames straight to their places, and lets nothing pass that this reduction does not expect. */
export class Inbox {
  readonly dropped: DroppedFrames = { nonce: 0, stale: 0 };
  readonly #header: Bytes = new Uint8Array(HEADER_BYTES);
  readonly #hash: BlockHash = new Uint32Array(4);
  /** Frames of this reduction that came, by `idOf`. */
  readonly #seen = new Set<number>();
  #key: ReductionKey = { generation: 0, step: 0, attempt: 0 };
  /** What the message announces that is being received; null if it is to be dropped. */
  #expected: Expected | null = null;
  readonly #hashes = new Uint32Array(4 * RUN_FRAMES);

  constructor(
    private readonly options: { plan: ExchangePlan; places: Places; nonce: Uint8Array },
  ) {}

  /** Expects the frames of this reduction from now on. */
  begin(key: ReductionKey): void {
    this.#key = key;
    this.#seen.clear();
  }

  /**
   * Takes the next message of `peer`: its frames, none if it belongs to the past; null if there is no message. Throws
   * E_SHORT for one that is cut, E_CRC for other bytes than were sent, E_STALE and E_DECODE for one that is not expected.
   */
  take(peer: number, link: Link): readonly Accepted[] | null {
    const sizes = link.tryReceive(this.#header, (headerBytes) => {
      const header = decodeHeader(this.#header.subarray(0, headerBytes));
      this.#expected = this.#expect(peer, { header, lane: link.lane });
      return this.#expected?.payload ?? null;
    });
    if (sizes === null) return null;
    if (sizes.payload < 0) throw this.#refuse("E_SHORT", peer, "a frame without a payload");
    const expected = this.#expected;
    if (expected === null) return [];
    if (sizes.payload !== expected.payload.length) {
      const wanted = `${expected.payload.length} bytes`;
      throw this.#refuse("E_SHORT", peer, `${sizes.payload} bytes where its header stands for ${wanted}`);
    }
    return expected.source === null
      ? this.#received(peer, expected)
      : this.#announced(expected, expected.source);
  }

  /** The one frame whose numbers were in the message. */
  #received(
    peer: number,
    { located: [{ frame, place }], header: { phase, bucket, hash } }: Expected,
  ): Accepted[] {
    const accepted = { phase, bucket, frame, place, hash, source: null };
    place.hash(this.#hash);
    this.#verify(peer, accepted);
    return [accepted];
  }

  /** Frames that are in the peer's memory, of which the message has the hashes. */
  #announced({ located, header }: Expected, source: Source): Accepted[] {
    const { phase, bucket } = header;
    let { position } = source;
    return located.map(({ frame, place }, i) => {
      const hash = this.#hashes.slice(4 * i, 4 * i + 4);
      const accepted = { phase, bucket, frame, place, hash, source: { ...source, position } };
      position += place.byteLength;
      if (phase === "partial") return accepted;
      this.fetch(accepted, { source: accepted.source, to: place.byteOffset });
      return { ...accepted, source: null };
    });
  }

  /** Copies a frame from the peer's memory to byte offset `to`. Throws E_CRC for other bytes than the peer announced. */
  fetch(frame: Accepted, { source: { peer, kernels, position }, to }: { source: Source; to: number }): void {
    const { length, firstBlock } = frame.place;
    kernels.hashReset();
    kernels.fetch(to, position, length, firstBlock);
    readHash(kernels, this.#hash);
    this.#verify(peer, frame);
  }

  /** Writes the sum of a frame that is read from the peer's memory and of numbers at `a` to byte offset `to`. Throws E_CRC. */
  fetchAdd(frame: Accepted, { peer, kernels, position }: Source, { to, a }: { to: number; a: number }): void {
    const { length, firstBlock } = frame.place;
    kernels.hashReset();
    kernels.fetchAdd(to, a, position, length, firstBlock);
    readHash(kernels, this.#hash);
    this.#verify(peer, frame);
  }

  /** As fetchAdd, but the sum is divided, `to` is in the results, and `out` gets the hash of what is written. Throws E_CRC. */
  finishFetchAdd(
    frame: Accepted,
    { peer, kernels, position }: Source,
    { to, a, divisor, out }: { to: number; a: number; divisor: number; out: BlockHash },
  ): void {
    const { length, firstBlock } = frame.place;
    kernels.hashReset();
    kernels.finishFetchAdd(to, a, position, length, firstBlock, divisor);
    readHash(kernels, this.#hash);
    readSecondHash(kernels, out);
    this.#verify(peer, frame);
  }

  #verify(peer: number, { place, hash, phase }: Accepted): void {
    if (this.#hash.every((lane, i) => lane === hash[i])) return;
    throw this.#refuse(
      "E_CRC",
      peer,
      `a ${phase} frame at ${place.offset} whose bytes hash to ${hashHex(this.#hash)}, not ${hashHex(hash)}`,
    );
  }

  /** Finds out where the frames of a message belong; null if they are to be dropped. */
  #expect(peer: number, { header, lane }: { header: FrameHeader; lane: Lane | undefined }): Expected | null {
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
    const { phase, bucket, offset, length, sender, position } = header;
    const located = sender === peer ? this.#locate(peer, header) : [];
    if (located.length === 0 || located.some(({ place }) => this.#seen.has(idOf(header, place)))) {
      throw this.#refuse(
        "E_DECODE",
        peer,
        `an unexpected frame (${phase} ${bucket} ${offset}, ${length} bytes)`,
      );
    }
    for (const { place } of located) this.#seen.add(idOf(header, place));
    if (position === null) return { header, located, source: null, payload: located[0].place.bytes };
    const source = this.#sourceOf(peer, { header, lane });
    const payload = new Uint8Array(this.#hashes.buffer, 0, 16 * located.length);
    return { header, located, source, payload };
  }

  /** Which frames of their segment they are and where they are to be; none if that is unexpected. */
  #locate(peer: number, { phase, bucket, offset, position, length }: FrameHeader): readonly Located[] {
    const { plan, places } = this.options;
    const { rank } = plan.shape;
    if (phase === "squares" && plan.sendsResults) {
      const place = places.squares(peer);
      return place.offset === offset && place.byteLength === length ? [{ frame: 0, place }] : [];
    }
    const isPartial = phase === "partial" && plan.owners.get(bucket) === peer;
    if (!isPartial && !(phase === "result" && plan.sendsResults)) return [];
    const frames = plan.frames[isPartial ? rank : peer];
    const first = frames.findIndex((part) => part.start === offset);
    const located: Located[] = [];
    let bytes = 0;
    for (let frame = first; frame >= 0 && frame < frames.length && bytes < length; frame++) {
      const part = frames[frame];
      located.push({
        frame,
        place: isPartial ? places.partial(places.scratchBase(bucket), part) : places.result(part),
      });
      bytes += 4 * part.length;
      if (located.length > (position === null ? 1 : RUN_FRAMES)) return [];
    }
    return bytes === length ? located : [];
  }

  #sourceOf(peer: number, { header, lane }: { header: FrameHeader; lane: Lane | undefined }): Source | null {
    const { phase, position, length } = header;
    if (position === null) return null;
    const arena = phase === "partial" ? lane?.peer?.partials : lane?.peer?.state;
    if (arena !== undefined && position % 4 === 0 && position + length + REGION_ALIGNMENT <= arena.bytes) {
      return { peer, kernels: arena.kernels, position };
    }
    throw this.#refuse(
      "E_DECODE",
      peer,
      `a ${phase} frame in memory that is not mapped here (byte ${position})`,
    );
  }

  #refuse(code: "E_SHORT" | "E_CRC" | "E_STALE" | "E_DECODE", peer: number, what: string): PeerError {
    const { step, attempt } = this.#key;
    return new PeerError(
      code,
      `Cannot reduce step ${step}, attempt ${attempt}: rank ${peer} sent ${what}`,
      peer,
    );
  }
}

/** A number for each frame of a peer: phases are few, nodes fewer than 2^16, and gradients shorter than 2^30. */
function idOf({ phase, bucket }: FrameHeader, { offset }: Place): number {
  return ((phase === "partial" ? 0 : phase === "result" ? 1 : 2) * 2 ** 16 + bucket) * 2 ** 30 + offset;
}

/** Negative if `a` is the earlier reduction, positive if it is the later one. */
function compareKeys(a: ReductionKey, b: ReductionKey): number {
  return a.generation - b.generation || a.step - b.step || a.attempt - b.attempt;
}
