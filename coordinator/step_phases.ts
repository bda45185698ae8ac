import type { WorkerPhases } from "../shared/metrics.ts";

/** When a step was begun, decided and applied by all, by the coordinator's clock. */
export interface StepTimes {
  readonly beganAt: number;
  readonly decidedAt: number;
  readonly endedAt: number;
}

/** What a member said of a step, in ms. */
export interface MemberTimes {
  readonly id: string;
  /** Its own gradients. */
  readonly computeMs: number;
  /** Those and the reduction, in which it waits for slower members. */
  readonly prepareMs: number;
  /** Between the two: until it was told that the step is decided. */
  readonly waitedMs: number;
  readonly applyMs: number;
}

/** A step's phases, in ms, of the member that took longest for each; together they are at most the step's duration. */
export interface StepPhases {
  readonly computeMs: number;
  /** Gradients and the reduction. */
  readonly prepareMs: number;
  readonly applyMs: number;
  /** Messages and the ledger: what the last member to prepare waited for the decision. */
  readonly overheadMs: number;
  readonly workers: readonly WorkerPhases[];
}

/**
 * Divides a step's time. A member that was told of the step together with the decision of the one before begins while others
 * still apply that one: what it did by then lies in the time of the step before.
 */
export function phasesOf(
  members: readonly MemberTimes[],
  { beganAt, decidedAt, endedAt }: StepTimes,
): StepPhases {
  const within = members.map(({ id, computeMs, prepareMs, applyMs }) => {
    const prepare = Math.min(prepareMs, decidedAt - beganAt);
    const compute = Math.max(0, Math.min(computeMs, prepareMs) - (prepareMs - prepare));
    return { id, prepare, compute, apply: Math.min(applyMs, endedAt - decidedAt) };
  });
  const most = (phase: "prepare" | "compute" | "apply") =>
    Math.max(0, ...within.map((member) => member[phase]));
  const slowest = most("compute");
  const rest = endedAt - beganAt - most("prepare") - most("apply");
  return {
    computeMs: slowest,
    prepareMs: most("prepare"),
    applyMs: most("apply"),
    overheadMs: members.length === 0 ? 0 : Math.min(rest, ...members.map(({ waitedMs }) => waitedMs)),
    workers: within.map(({ id, prepare, compute, apply }) => {
      const wait = Math.min(slowest, prepare) - compute;
      const reduce = prepare - compute - wait;
      return {
        id,
        compute_ms: wholeUs(compute),
        wait_ms: wholeUs(wait),
        reduce_ms: wholeUs(reduce),
        apply_ms: wholeUs(apply),
      };
    }),
  };
}

/** Rounded down: the sum must not become more than the step. */
function wholeUs(ms: number): number {
  return Math.floor(1_000 * ms) / 1_000;
}
