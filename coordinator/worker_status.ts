import type { Candidate } from "./membership.ts";
import type { Peer } from "./peer.ts";

/** A worker as somebody outside sees it. */
export interface WorkerStatus {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** Null for one that is no member now. */
  readonly rank: number | null;
  /** Of the virtual shards, what it computes. */
  readonly shards: readonly number[];
  readonly state:
    | "member"
    /** A member that computes nothing: more are there than shards. */
    | "spare"
    /** It becomes a member at the next boundary. */
    | "standby"
    | "loading"
    /** Silent for a while. */
    | "suspected"
    /** Evicted more than once, and waiting for readmission. */
    | "barred";
  /** Time since it was heard. */
  readonly silentMs: number;
  /** CPU time of its process. */
  readonly cpuMs: number;
}

/** What a group knows of a worker. */
export interface KnownWorker extends Pick<WorkerStatus, "rank" | "shards"> {
  readonly peer: Peer;
  readonly candidate: Candidate;
  /** Whether it may be a member. */
  readonly isAble: boolean;
  /** Whether members compute steps at all. */
  readonly trains: boolean;
  readonly now: number;
}

/** A worker's status at `now`. */
export function statusOf(known: KnownWorker): WorkerStatus {
  const { peer: { id, hello: { host, pid }, cpuMs }, candidate, rank, shards, now } = known;
  const silentMs = candidate.inProcess ? 0 : now - candidate.heardAt;
  return { id, host, pid, rank, shards, state: stateOf(known), silentMs, cpuMs };
}

function stateOf({ candidate, rank, shards, isAble, trains }: KnownWorker): WorkerStatus["state"] {
  if (!candidate.loaded) return "loading";
  if (candidate.suspected) return "suspected";
  if (rank !== null) return shards.length > 0 || !trains ? "member" : "spare";
  return isAble ? "standby" : "barred";
}
