import type { MetricsLine } from "../../shared/metrics.ts";
import type { RunActivity } from "../coordinator.ts";
import type { WorkerStatus } from "../worker_status.ts";

/** Where a run is. */
export interface RunStatus {
  readonly runDir: string;
  /** Steps that are decided, and all there will be. */
  readonly step: number;
  readonly maxSteps: number;
  /** "waiting" while there are too few workers. */
  readonly activity: RunActivity | "waiting";
  /** The last step that was made here; null before the first. */
  readonly last: MetricsLine | null;
  /** Validation loss in nats, after so many steps; null before the first estimate. */
  readonly estimate: { readonly step: number; readonly val: number } | null;
  /** The step of the newest checkpoint; null before the first. */
  readonly savedStep: number | null;
  readonly epoch: number;
  readonly generation: number;
  /** Names of all workers that are in a session, and how many of them are members. */
  readonly workers: readonly string[];
  readonly members: number;
  readonly minMembers: number;
  /** Who asked the run to stop; null if nobody did. */
  readonly stoppedBy: string | null;
}

/** What the commands need of a run. What cannot be done is refused with a `LockstepError` that says why. */
export interface Steering {
  status(): RunStatus;
  workers(): readonly WorkerStatus[];
  /** Logged lines of steps after `step`, the newest of them; without a step, the last few. */
  metrics(after: number | null): readonly MetricsLine[];
  /** Saves at the next boundary between steps; resolves to the checkpoint's step. Where the steps are all made, to that of the last. */
  save(): Promise<number>;
  /** Sends the worker of that name, or of that rank, away, and gives its name. */
  evict(worker: string, by: string): string;
  /** Ends the run after the step under way, as Ctrl-C does. */
  stop(by: string): void;
}
