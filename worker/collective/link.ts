import type { Kernels } from "../kernels/kernels.ts";

/** Bytes of a header or a payload. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Sizes of a message's two parts, as they were sent; −1 for a payload that was missing. */
export interface Received {
  header: number;
  payload: number;
}

/** Kernels with a peer's arena as their `peer` memory, and that arena's bytes. */
export interface PeerArena {
  readonly kernels: Kernels;
  readonly bytes: number;
}

/** Something for each of the arenas whose numbers are exchanged: that of partial sums, and that of the state. */
export interface ForArenas<T> {
  readonly partials: T;
  readonly state: T;
}

/** What two members of one host see of each other's memory. */
export interface Lane {
  /** The peer's arenas; null if they are not mapped here. */
  readonly peer: ForArenas<PeerArena> | null;
  /** True once the peer has mapped this member's arenas: it needs no copy of what lies there. */
  readonly isMapped: boolean;
}

/** Frames to and from one peer, in order, without loss while the connection lives. Nothing blocks. */
export interface Link {
  /** Memory beside the frames, where there is any. */
  readonly lane?: Lane;
  /** Takes a copy of the frame; false if the peer has too many waiting, and then nothing is sent. */
  trySend(header: Bytes, payload: Bytes): boolean;
  /**
   * Takes the next frame, or answers null: its header goes to `header`, its payload to the view that `place`, called with
   * the header's size, returns (null: thrown away). What is longer than its view is cut off.
   */
  tryReceive(header: Bytes, place: (headerBytes: number) => Bytes | null): Received | null;
}

/** What a wait is to be ended by. */
export interface LinkInterest {
  /** Ranks whose next frame would be taken. */
  from: readonly number[];
  /** Ranks for which a frame is waiting to be sent. */
  to: readonly number[];
}

/** A member's links to all the others. */
export interface Links {
  /** By rank; a member has none to itself. */
  readonly byRank: ReadonlyMap<number, Link>;
  /** Resolves when something of `interest` may be possible, or `wake` was called; or for no reason. */
  wait(interest: LinkInterest): Promise<void>;
  /**
   * Blocks this thread until something of `interest` may be possible, for at most `ms`: it takes less to wake it than from
   * `wait`. False, at once, for links that cannot; `wake` does not end it.
   */
  waitBriefly?(interest: LinkInterest, ms: number): boolean;
  /** Ends the wait going on, or else the next one. */
  wake(): void;
  close(): Promise<void>;
}
