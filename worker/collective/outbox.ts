import type { Bytes, Link } from "./link.ts";

/** A frame to be sent: the header is made when its turn comes, while the payload is about to be read anyway. */
export interface Outgoing {
  header: Bytes | null;
  readonly payload: Bytes;
  makeHeader(): Bytes;
}

/** Frames for one peer, in order. */
export class Outbox {
  readonly #frames: Outgoing[] = [];
  #next = 0;

  constructor(private readonly link: Link) {}

  get isEmpty(): boolean {
    return this.#next === this.#frames.length;
  }

  push(payload: Bytes, makeHeader: () => Bytes): void {
    this.#frames.push({ header: null, payload, makeHeader });
  }

  /** Sends the first frame if the peer takes it; true if it did. */
  sendOne(): boolean {
    if (this.isEmpty) return false;
    const frame = this.#frames[this.#next];
    frame.header ??= frame.makeHeader();
    if (!this.link.trySend(frame.header, frame.payload)) return false;
    this.#next++;
    if (this.isEmpty) this.clear();
    return true;
  }

  clear(): void {
    this.#frames.length = 0;
    this.#next = 0;
  }
}
