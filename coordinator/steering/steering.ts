import type { MetricsLine } from "../../shared/metrics.ts";
import type { RunActivity } from "../coordinator.ts";
import type { RunHistory } from "../run_history/run_history.ts";
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
  /** Estimates the losses at the next boundary between steps. */
  estimate(): Promise<{ step: number; train: number; val: number }>;
  /** Begins no further step until `resume`; gives the steps that are made. */
  pause(by: string): number;
  /** Goes on after a pause. */
  resume(by: string): void;
  /** Has every so many steps logged; the only key that can be changed: any other is refused with what to do instead. */
  set(change: { key: string; value: string; by: string }): void;
  /** The run as its files tell it by now. */
  history(): Promise<RunHistory>;
  /** Sends the worker of that name, or of that rank, away, and gives its name. */
  evict(worker: string, by: string): string;
  /** Ends the run after the step under way, as Ctrl-C does. */
  stop(by: string): void;
}
