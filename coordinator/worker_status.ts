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
