import type { Span } from "../shared/spans.ts";

/** A profiled step. Times are of the coordinator's clock, as `Group.now`, but those of spans, which are of their members'. */
export interface StepTrace {
  readonly step: number;
  readonly beganAt: number;
  /** All members had prepared it … */
  readonly preparedAt: number;
  /** … its line was in the ledger … */
  readonly decidedAt: number;
  /** … and all had applied it. */
  readonly endedAt: number;
  readonly members: readonly MemberTrace[];
}

export interface MemberTrace {
  readonly id: string;
  /** When it was heard that the member has applied the step. */
  readonly appliedAt: number;
  readonly spans: readonly Span[];
}
