import type { ErrorCode } from "../../shared/errors.ts";
import type { SharedArena } from "../arena.ts";
import type { CollectiveStatus, Reduced, StepKey } from "./collective.ts";
import type { TcpLinks } from "./zmq_links.ts";

/** All that a collective thread must know about a generation. */
export interface CollectiveSetup {
  /** This member's name, for faults that are planned for it; none are without. */
  id?: string;
  /** From compileKernels, for shared memory. */
  module: WebAssembly.Module;
  /** The arena of partial sums; "scratch" is at least ExchangePlan.scratchLength long. */
  partials: SharedArena<"scratch">;
  /** The arena of the state; "squares" is ExchangePlan.squaresLength long. May be the same. */
  state: SharedArena<"reduced" | "squares">;
  /** Virtual shards of a step. */
  shardCount: number;
  /** By rank: the tree nodes whose sums that member brings. */
  nodes: number[][];
  rank: number;
  /** By rank, as for zmqLinks. */
  endpoints: string[];
  /** By rank, as for zmqLinks. */
  hosts?: readonly string[];
  /** For members on other hosts, as for zmqLinks. */
  tcp?: TcpLinks;
  nonce: Uint8Array;
  generation: number;
  /** The largest frame; see ExchangeShape. */
  frameElements?: number;
}

/** What a collective thread can get ready before there is a generation. */
export type CollectiveMemory = Pick<CollectiveSetup, "partials" | "state">;

/** To the collective thread. Each "configure" ends what was configured before. */
export type ToCollectiveThread =
  | { type: "expose"; memory: CollectiveMemory }
  | { type: "configure"; setup: CollectiveSetup }
  | { type: "connect"; endpoints: readonly string[] }
  | { type: "begin"; key: StepKey }
  | { type: "announce"; node: number; byteOffset: number }
  | { type: "abort" }
  | { type: "status" }
  | { type: "close" };

/** From the collective thread: one answer to each message but "connect" and "announce"; that to "begin" may take its time. */
export type FromCollectiveThread =
  | { type: "exposed" }
  | { type: "configured"; ports: readonly number[] }
  | { type: "reduced"; reduced: Reduced | null }
  | {
    type: "failed";
    during: "configure" | "begin";
    code: ErrorCode;
    message: string;
    /** The peer that it is about. */
    rank: number | null;
  }
  | { type: "status"; status: CollectiveStatus }
  | { type: "aborted" }
  | { type: "closed" };
