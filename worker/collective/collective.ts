import type { Span } from "../../shared/spans.ts";

/** Which step is reduced, for which time. */
export interface StepKey {
  step: number;
  attempt: number;
  /** Whether to say what took which time. */
  isProfiled?: boolean;
}

/** What a reduction ends with; the reduced gradient is in its region. */
export interface Reduced {
  /** 32 hex digits, the same at all members. */
  gradHash: string;
  /** Those of the segments in a row; lane by lane they add up to `gradHash`. */
  bucketHashes: string;
  /** Before clipping, the same at all members. */
  gradNorm: number;
  /** Where they were asked for. */
  spans?: Span[];
}

/** How a reduction stands. */
export interface CollectiveStatus {
  /** Ranks that it waits for: to send, or to take what is sent to them. */
  waitsFor: number[];
  /** Frames sent and received so far; grows while anything moves. */
  moved: number;
  /** Frames of other generations and runs, and of steps that are over, that were not taken; of this generation. */
  dropped: number;
}

/** Adds up the gradients of a generation's members, in this thread or in another one. */
export interface Collective {
  /**
   * Starts the reduction of a step, and resolves when it is complete: null if it was aborted. Rejects with E_CRC, E_SHORT,
   * E_DECODE or E_STALE for a frame that must not be; then the reduction is over, and only another attempt can follow. Rejects
   * with `LinkLost` where the connection to a peer has ended; then only another generation can follow.
   */
  begin(key: StepKey): Promise<Reduced | null>;
  /**
   * The own partial sum of tree node `node` is complete, at a byte offset of the arena of partial sums. It is sent while
   * others are still being computed, and stays as it is until COMMIT.
   */
  announce(node: number, byteOffset: number): void;
  /** Gives up the reduction under way; when it resolves, nothing refers to the arenas any more. */
  abort(): Promise<void>;
  /**
   * Aborts, and frees sockets and threads. What was handed over may get lost with them, so a member closes only after
   * all have told that they are done.
   */
  close(): Promise<void>;
}
