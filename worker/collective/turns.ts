import { HEADER_BYTES } from "./codec.ts";
import type { Bytes, Received } from "./link.ts";
import { Futex } from "./shared_memory.ts";

/** Bytes of the second part of a message that fit into a slot: the hashes of eight frames. */
export const SLOT_PAYLOAD = 128;

const SLOTS = 8; // a power of two
const SLOT_BYTES = 256;
const LENGTH_AT = HEADER_BYTES, PAYLOAD_AT = HEADER_BYTES + 4;
const RING_BYTES = 4096, FIRST_SLOT_AT = 256;
const PAGE = 65_536;

/** Bytes at the start that peers may write: only the bell is there. */
export const BELL_BYTES = PAGE;
const BELL = 0, STATE = PAGE / 4;
const AWAKE = 0, LISTENS = 1, POLLS = 2;

/**
 * A member's side of the turns that members of one host take through memory: one ring of short messages to each peer, how
 * many it has taken from each, and whether it sleeps. Only the member itself writes them; anyone may ring its bell.
 */
export class Turns {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #bell: Futex;

  constructor(readonly memory: WebAssembly.Memory) {
    this.#bell = new Futex(memory, 4 * BELL);
    this.#words = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** Bytes of the memory for that many members, whole pages of WebAssembly. */
  static bytes(memberCount: number): number {
    return PAGE + Math.ceil((memberCount + 1) * RING_BYTES / PAGE) * PAGE;
  }

  /** Puts a message into the ring to `peer`, whose turns are `theirs`; false if it is full. */
  put(to: Way, header: Bytes, payload: Bytes): boolean {
    const { peer, rank, theirs } = to;
    const head = Atomics.load(this.#words, headOf(peer));
    if (head - Atomics.load(theirs.#words, tailOf(rank)) >= SLOTS) return false;
    const at = slotAt(peer, head);
    this.#bytes.set(header, at);
    this.#words[(at + LENGTH_AT) / 4] = payload.length;
    this.#bytes.set(payload, at + PAYLOAD_AT);
    Atomics.store(this.#words, headOf(peer), head + 1 | 0);
    return true;
  }

  /** Takes the next message of `peer`, as Link.tryReceive does. */
  take(from: Way, header: Bytes, place: (headerBytes: number) => Bytes | null): Received | null {
    const { peer, rank, theirs } = from;
    const tail = Atomics.load(this.#words, tailOf(peer));
    if (Atomics.load(theirs.#words, headOf(rank)) === tail) return null;
    const at = slotAt(rank, tail);
    header.set(theirs.#bytes.subarray(at, at + HEADER_BYTES));
    const view = place(HEADER_BYTES);
    const length = theirs.#words[(at + LENGTH_AT) / 4];
    view?.set(
      theirs.#bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + Math.min(length, view.length, SLOT_PAYLOAD)),
    );
    Atomics.store(this.#words, tailOf(peer), tail + 1 | 0);
    return { header: HEADER_BYTES, payload: length };
  }

  /** Whether `take` would give a message. */
  isReadable({ peer, rank, theirs }: Way): boolean {
    return Atomics.load(theirs.#words, headOf(rank)) !== Atomics.load(this.#words, tailOf(peer));
  }

  /** Whether `put` would take one. */
  isWritable({ peer, rank, theirs }: Way): boolean {
    return Atomics.load(this.#words, headOf(peer)) - Atomics.load(theirs.#words, tailOf(rank)) < SLOTS;
  }

  /** After `take`: whether the peer may wait for the room that it made, as it found its ring full. */
  madeRoom({ peer, rank, theirs }: Way): boolean {
    const before = Atomics.load(this.#words, tailOf(peer)) - 1;
    return Atomics.load(theirs.#words, headOf(rank)) - before >= SLOTS;
  }

  /** Wakes the member if it listens; false if it polls its sockets instead, where it must be woken by a message. */
  ring(): boolean {
    Atomics.add(this.#words, BELL, 1);
    const state = Atomics.load(this.#words, STATE);
    if (state === LISTENS) this.#bell.wake();
    return state !== POLLS;
  }

  /** Blocks this thread until someone rings or `ms` have passed, unless `isReady` says that there is something to do. */
  listen(isReady: () => boolean, ms: number): void {
    const heard = Atomics.load(this.#words, BELL);
    Atomics.store(this.#words, STATE, LISTENS);
    if (!isReady()) this.#bell.wait(heard, ms);
    Atomics.store(this.#words, STATE, AWAKE);
  }

  /** While `poll` waits, who rings learns that he must send a message. */
  async whilePolling(isReady: () => boolean, poll: () => Promise<void>): Promise<void> {
    Atomics.store(this.#words, STATE, POLLS);
    try {
      if (!isReady()) await poll();
    } finally {
      Atomics.store(this.#words, STATE, AWAKE);
    }
  }
}

/** From the member whose turns they are to a peer, and back. */
export interface Way {
  readonly rank: number;
  readonly peer: number;
  /** The peer's turns. */
  readonly theirs: Turns;
}

const ringAt = (peer: number) => PAGE + (peer + 1) * RING_BYTES;
const headOf = (peer: number) => ringAt(peer) / 4;
const tailOf = (peer: number) => ringAt(peer) / 4 + 16; // a cache line of its own
const slotAt = (peer: number, index: number) =>
  ringAt(peer) + FIRST_SLOT_AT + (index & SLOTS - 1) * SLOT_BYTES;
