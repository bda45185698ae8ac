/** What a run does that takes time it may not have. */
export type TimedActivity = "stepping" | "estimating" | "saving";

/** Members are sent home, and the program ends, within this time, in ms. */
const LEAVE_MS = 1_000;

/** What a first checkpoint is taken to write a second, in bytes: what a slow disk does, files verified. */
const SLOW_DISK_BYTES = 20e6;

/** Parts of a run vary in time: what comes next is taken to need as much more than the longest so far. */
const CAUTION = 1.5;

/**
 * Tells when a run must end so that its last checkpoint is written before `endsAtMs`, by how long its parts took so far.
 * Times are in ms of one clock. Without an end it never does.
 */
export class TimeLimit {
  readonly #longest: Record<TimedActivity, number> = { stepping: 0, estimating: 0, saving: 0 };

  constructor(private readonly endsAtMs: number | null) {}

  /** Told how large a checkpoint is, before any was written. */
  expectCheckpoint(bytes: number): void {
    this.took("saving", 1_000 * bytes / SLOW_DISK_BYTES);
  }

  took(activity: TimedActivity, ms: number): void {
    this.#longest[activity] = Math.max(this.#longest[activity], ms);
  }

  /** Whether at `nowMs` there is no time left for `activity` and a checkpoint after it. */
  isUp(activity: "stepping" | "estimating", nowMs: number): boolean {
    if (this.endsAtMs === null) return false;
    const needed = CAUTION * (this.#longest[activity] + this.#longest.saving) + LEAVE_MS;
    return nowMs + needed >= this.endsAtMs;
  }

  /** Whether at `nowMs` what goes on must be given up: all that can be saved is. */
  isOver(nowMs: number): boolean {
    return this.endsAtMs !== null && nowMs + LEAVE_MS >= this.endsAtMs;
  }
}
