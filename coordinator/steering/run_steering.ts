import { runKeys } from "../../shared/config/keys/run.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { MetricsLine } from "../../shared/metrics.ts";
import type { RunActivity, RunObserver } from "../coordinator.ts";
import type { Group } from "../group.ts";
import type { WorkerStatus } from "../worker_status.ts";
import { RunHistory } from "../run_history/run_history.ts";
import { refusedKey } from "./refused_key.ts";
import type { RunStatus, Steering } from "./steering.ts";

export interface RunSteeringOptions {
  readonly group: Pick<Group, "epoch" | "generation" | "ids" | "position" | "tell" | "workers">;
  readonly config: Pick<RunConfig, "max_iters" | "log_interval" | "eval_only">;
  /** Writes a line of the run's log. */
  note(event: string, fields: Record<string, unknown>): void;
  readonly runDir: string;
  readonly minMembers: number;
  /** The step of the checkpoint to go on from; null for a new run. */
  readonly savedStep: number | null;
  /** Tells whoever watches the run of what somebody else did to it. */
  warn(sentence: string): void;
}

type Estimate = { readonly step: number; readonly train: number; readonly val: number };

/** A terminal has fewer columns. */
const HISTORY_POINTS = 512;
/** Logged lines that are kept for those who watch. */
const KEPT_LINES = 1_000;
/** Of them, those that somebody sees who begins to watch. */
const FIRST_LINES = 10;

/** Steers a run that goes on in this process: what people ask for is done at once, or where `Run` looks between steps. */
export class RunSteering implements Steering {
  #activity: RunActivity = "forming";
  #last: MetricsLine | null = null;
  #estimate: RunStatus["estimate"] = null;
  #savedStep: number | null;
  #stoppedBy: string | null = null;
  #lines: MetricsLine[] = [];
  /** Who waits for a checkpoint. */
  readonly #saves: PromiseWithResolvers<number>[] = [];
  /** Who waits for an estimate. */
  readonly #estimates: PromiseWithResolvers<Estimate>[] = [];
  #pausedBy: string | null = null;
  #logInterval: number;
  #observer: RunObserver = {};
  #history: RunHistory | null = null;
  #isOver = false;

  constructor(private readonly options: RunSteeringOptions) {
    this.#logInterval = options.config.log_interval;
    this.#savedStep = options.savedStep;
  }

  /** For `CoordinatorOptions.shouldStop`. */
  get shouldStop(): boolean {
    return this.#stoppedBy !== null;
  }

  /** For `CoordinatorOptions.shouldSave`. */
  get shouldSave(): boolean {
    return this.#saves.length > 0;
  }

  /** For `CoordinatorOptions.shouldEstimate`. */
  get shouldEstimate(): boolean {
    return this.#estimates.length > 0;
  }

  /** For `CoordinatorOptions.isPaused`. */
  get isPaused(): boolean {
    return this.#pausedBy !== null;
  }

  /** An observer of the run that tells `observer` and notices what it needs itself. */
  observing(observer: RunObserver): RunObserver {
    this.#observer = observer;
    return {
      ...observer,
      begins: (activity) => {
        this.#activity = activity;
        if (activity === "evaluating") this.#settle();
        observer.begins?.(activity);
      },
      step: (line) => {
        this.#remember(line);
        observer.step?.(line);
      },
      estimate: (estimate) => {
        this.#estimate = estimate;
        for (const { resolve } of this.#estimates.splice(0)) resolve(estimate);
        observer.estimate?.(estimate);
      },
      checkpoint: (saved) => {
        this.#savedStep = saved.step;
        this.#settle();
        observer.checkpoint?.(saved);
      },
      checkpointFailed: (error) => {
        for (const { reject } of this.#saves.splice(0)) reject(error);
        observer.checkpointFailed?.(error);
      },
    };
  }

  /** The run is over: nobody waits any longer. */
  end(): void {
    this.#isOver = true;
    for (const { reject } of this.#saves.splice(0)) reject(this.#overError());
    for (const { reject } of this.#estimates.splice(0)) reject(this.#endedError("estimate the losses"));
  }

  status(): RunStatus {
    const { runDir, config: { max_iters: maxSteps }, minMembers, group } = this.options;
    const { epoch, generation, position: { step } } = group;
    const members = group.ids.length;
    const workers = group.workers.map(({ id }) => id);
    const activity = members === 0 && this.#activity !== "forming" ? "waiting" : this.#activity;
    return {
      ...{ runDir, step, maxSteps, activity, last: this.#last, estimate: this.#estimate },
      ...{ savedStep: this.#savedStep, epoch, generation, workers, members, minMembers },
      stoppedBy: this.#stoppedBy,
    };
  }

  workers(): readonly WorkerStatus[] {
    return this.options.group.workers;
  }

  metrics(after: number | null): readonly MetricsLine[] {
    if (after === null) return this.#lines.slice(-FIRST_LINES);
    return this.#lines.filter(({ step }) => step > after);
  }

  async save(): Promise<number> {
    if (this.options.config.eval_only) {
      throw new LockstepError("E_RUN", "Cannot save as the run only evaluates: its weights do not change");
    }
    if (this.#isOver) throw this.#overError();
    const save = Promise.withResolvers<number>();
    this.#saves.push(save);
    if (this.#activity === "evaluating") this.#settle();
    return await save.promise;
  }

  async estimate(): Promise<Estimate> {
    this.#refuseAtEnd("estimate the losses");
    const estimate = Promise.withResolvers<Estimate>();
    this.#estimates.push(estimate);
    return await estimate.promise;
  }

  pause(by: string): number {
    this.#refuseAtEnd("pause the run");
    if (this.#pausedBy !== null) {
      throw new LockstepError(
        "E_RUN",
        `Cannot pause the run as it is paused already: ${this.#pausedBy} did it`,
      );
    }
    const { step } = this.options.group.position;
    this.#pausedBy = by;
    this.options.note("paused", { by, step });
    this.options.warn(`${by} paused the run: no step follows the one under way`);
    return step;
  }

  resume(by: string): void {
    if (this.#pausedBy === null) {
      throw new LockstepError("E_RUN", "Cannot resume the run as nobody has paused it");
    }
    this.#pausedBy = null;
    this.options.note("resumed", { by, step: this.options.group.position.step });
    this.options.warn(`${by} resumed the run`);
  }

  set({ key, value, by }: { key: string; value: string; by: string }): void {
    const { runDir, note, warn } = this.options;
    if (key !== "log_interval") throw refusedKey(key, { value, runDir, savedStep: this.#savedStep });
    const steps = runKeys.log_interval.safeParse(Number(value));
    if (!/^\d+$/.test(value) || !steps.success) {
      throw new LockstepError(
        "E_CONFIG",
        `Cannot set log_interval to ${value} as it must be ${runKeys.log_interval.unwrap().description}`,
      );
    }
    note("log_interval", { by, from: this.#logInterval, to: steps.data });
    warn(`${by} set log_interval to ${steps.data}`);
    this.#logInterval = steps.data;
    this.#observer.logInterval?.(steps.data);
  }

  async history(): Promise<RunHistory> {
    this.#history ??= new RunHistory(this.options.runDir, { points: HISTORY_POINTS });
    await this.#history.refresh();
    return this.#history;
  }

  evict(worker: string, by: string): string {
    const { group, minMembers } = this.options;
    const workers = group.workers;
    const found = workers.find(({ id }) => id === worker) ??
      workers.find(({ rank }) => rank !== null && String(rank) === worker);
    if (found === undefined) {
      const known = workers.map(({ id, rank }) => rank === null ? id : `${rank} (${id})`).join(", ");
      throw new LockstepError(
        "E_RUN",
        `Cannot evict ${worker} as there is no such worker: ${known === "" ? "there are none" : known}`,
      );
    }
    const left = workers.filter(({ id, state }) => id !== found.id && canCompute.has(state)).length;
    if (canCompute.has(found.state) && left < minMembers) {
      throw new LockstepError(
        "E_RUN",
        `Cannot evict ${found.id} as at least ${minMembers} are required to go on and ${left} would be left: start another, or stop the run`,
      );
    }
    group.tell({ type: "accused", id: found.id, why: `${by} said so` });
    this.options.warn(`${by} evicted ${found.id}`);
    return found.id;
  }

  stop(by: string): void {
    if (this.#stoppedBy !== null) {
      throw new LockstepError(
        "E_RUN",
        `Cannot stop the run as it ends already: ${this.#stoppedBy} asked for it`,
      );
    }
    this.#stoppedBy = by;
    this.#pausedBy = null;
    this.options.warn(`${by} stopped the run: it ends after the step under way`);
  }

  /** Keeps those lines that metrics.jsonl gets. */
  #remember(line: MetricsLine): void {
    const { max_iters } = this.options.config;
    this.#last = line;
    if (line.step % this.#logInterval !== 0 && line.step !== max_iters - 1) return;
    const before = this.#lines.filter(({ step }) => step < line.step); // a run that went back makes steps again
    this.#lines = [...before, line].slice(-KEPT_LINES);
  }

  /** The newest checkpoint is what all wait for: it was saved just now, or no step follows it. */
  #settle(): void {
    const step = this.#savedStep;
    if (step === null) return;
    for (const { resolve } of this.#saves.splice(0)) resolve(step);
  }

  /** Refuses what has its place between two steps, where none follows. */
  #refuseAtEnd(what: string): void {
    const { config: { eval_only, max_iters }, group } = this.options;
    if (eval_only) {
      throw new LockstepError("E_RUN", `Cannot ${what} as the run makes no steps: it only evaluates`);
    }
    const isAtEnd = group.position.step >= max_iters || this.#stoppedBy !== null;
    if (this.#isOver || isAtEnd) throw this.#endedError(what);
  }

  #endedError(what: string): LockstepError {
    return new LockstepError("E_RUN", `Cannot ${what} as the run ends`);
  }

  #overError(): LockstepError {
    const kept = this.#savedStep === null ? "it saved none" : `its newest is that of step ${this.#savedStep}`;
    return new LockstepError("E_RUN", `Cannot save another checkpoint as the run is over: ${kept}`);
  }
}

/** States of workers with which a run can go on. */
const canCompute: ReadonlySet<WorkerStatus["state"]> = new Set(["member", "spare", "standby"]);
