import { setTimeout as delay } from "node:timers/promises";
import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { MetricsLine, SampleLine } from "../shared/metrics.ts";
import { saveCheckpoint, type StateStore } from "./checkpoints.ts";
import { earlyStopping, type EarlyStoppingState } from "./early_stopping.ts";
import {
  evaluatesBest,
  evaluateTask,
  evaluationStopped,
  openEvaluation,
  taskOf,
  type TaskResult,
} from "./evaluate_task.ts";
import { estimatedLosses, evaluate } from "./evaluation.ts";
import { type Group, WentBack } from "./group.ts";
import type { Ledger } from "./ledger.ts";
import type { MemberInfo } from "./member_info.ts";
import { runStep, type StartedStep, type StepOutcome } from "./step_round.ts";
import { type TimedActivity, TimeLimit } from "./time_limit.ts";

/** What a run does at a time. */
export type RunActivity = "forming" | "stepping" | "paused" | "estimating" | "saving" | "evaluating";

/** What a run tells while it goes on; every part is optional for whoever listens. */
export interface RunObserver {
  /** Something else is begun. */
  begins?(activity: RunActivity): void;
  /** All members are ready: what they compute with. */
  ready?(info: MemberInfo): void;
  /** A step was applied. */
  step?(metrics: MetricsLine): void;
  /** Losses; `asked` where a person wanted them, besides those at every eval_interval. */
  estimate?(estimate: { step: number; train: number; val: number; best: boolean; asked: boolean }): void;
  /** What the model wrote when its losses were estimated. */
  sampled?(samples: readonly SampleLine[]): void;
  checkpoint?(saved: { step: number; path: string }): void;
  /** The run is over before its last step, as early_stopping_patience says. */
  stopsEarly?(state: EarlyStoppingState): void;
  /** A checkpoint could not be written; the run goes on. */
  checkpointFailed?(error: LockstepError): void;
  /** A step waits as the ledger cannot be written for now. */
  held?(error: LockstepError): void;
  /** Steps from this one on are made again: nobody had their state any more. */
  wentBack?(step: number): Promise<void> | void;
  /** Every so many steps are logged from now on. */
  logInterval?(steps: number): void;
  evaluating?(progress: { done: number; of: number }): void;
  /** The task's evaluation at the end. */
  evaluated?(result: { step: number; task: TaskResult }): void;
}

export interface CoordinatorOptions {
  readonly group: Group;
  readonly ledger: Ledger;
  readonly config: RunConfig;
  readonly configHash: string;
  readonly store: StateStore;
  /** The lowest validation loss of the checkpoint to go on from; null for none. */
  readonly bestValLoss: number | null;
  readonly observer: RunObserver;
  /** True once somebody asked the run to end after the step under way. */
  shouldStop(): boolean;
  /** When it must end so that it is saved in time; without it, never. */
  readonly limit?: TimeLimit;
  /** True while somebody waits for a checkpoint: one is saved at the next boundary between steps. */
  shouldSave?(): boolean;
  /** True while somebody waits for an estimate of the losses: one is made at the next boundary. */
  shouldEstimate?(): boolean;
  /** True while no step is to be begun. */
  isPaused?(): boolean;
  /** Whether any two members must compute the same bits, so that they are compared now and then. */
  audits?(): boolean;
  /** Called when the members are ready, before the first step: compares and writes the manifest. Its result is kept in checkpoints. */
  accept(info: MemberInfo): Promise<{ configHash: string }>;
  /** Validation losses by step of the run so far, read after `accept`; a new run has none. */
  valLosses?(): Promise<ReadonlyMap<number, number>>;
}

/** How a run ended. */
export interface RunResult {
  readonly step: number;
  /** Whether it ended before its last step. */
  readonly stopped: boolean;
  /** Whether `max_time` was why. */
  readonly outOfTime: boolean;
  readonly stateHash: string;
  readonly valLoss: number | null;
  /** Null too where the best checkpoint is to be evaluated instead of the last. */
  readonly task: TaskResult | null;
}

/** A coordinator's life: forms the members, runs the steps, evaluates, saves, and drains. */
export async function runCoordinator(options: CoordinatorOptions): Promise<RunResult> {
  const run = new Run(options);
  await run.form();
  const result = await run.train();
  options.group.drain({ stopped: result.stopped });
  return result;
}

/** A checkpoint holds the parameters and both moments. */
const STATE_COPIES = 3;

/** Length of a sample: enough to see how the model writes, and no burden on training. */
const SAMPLE_TOKENS = 100;
/** How often a run that is paused looks whether it goes on, in ms. */
const PAUSE_LOOK_MS = 100;

class Run {
  #info: MemberInfo | undefined;
  #configHash: string;
  #best: number | null;
  #valLoss: number | null = null;
  /** Estimates of it by step. */
  #valLosses = new Map<number, number>();
  /** Where the loss was estimated last, by this coordinator. */
  #estimatedAt = -1;
  #savedAt = -1;
  #evaluations = 0;
  #isEnding = false;
  readonly #limit: TimeLimit;

  constructor(private readonly options: CoordinatorOptions) {
    this.#limit = options.limit ?? new TimeLimit(null);
    this.#configHash = options.configHash;
    this.#best = options.bestValLoss;
  }

  /** Steps that are decided and applied. */
  get #step(): number {
    return this.options.group.position.step;
  }

  /** FORMING, and the manifest. */
  async form(): Promise<void> {
    const { group, observer, accept } = this.options;
    observer.begins?.("forming");
    this.#info = await group.form();
    this.#limit.expectCheckpoint(STATE_COPIES * Float32Array.BYTES_PER_ELEMENT * this.#info.size);
    this.#savedAt = this.#step > 0 ? this.#step : -1;
    this.#configHash = (await accept(this.#info)).configHash;
    this.#valLosses = new Map(await this.options.valLosses?.());
    observer.ready?.(this.#info);
  }

  /** RUNNING: estimates and checkpoints at their intervals, and the steps between them. */
  async train(): Promise<RunResult> {
    for (;;) {
      try {
        return await this.#train();
      } catch (error) {
        // Nobody had the state of the step any more: what follows the stored one is made again, and gives the same.
        if (!(error instanceof WentBack)) throw error;
        this.#savedAt = error.step > 0 ? error.step : -1;
        for (const step of [...this.#valLosses.keys()]) if (step > error.step) this.#valLosses.delete(step);
        await this.options.observer.wentBack?.(error.step);
      }
    }
  }

  async #train(): Promise<RunResult> {
    const { config } = this.options;
    let started: StartedStep | null = null;
    while (this.#step < config.max_iters && !config.eval_only) {
      if (started === null && this.#step % config.eval_interval === 0 && this.#step !== this.#savedAt) {
        if (this.#lacksTime("estimating")) return await this.#stop({ outOfTime: true });
        await this.#timed("estimating", () => this.#estimate());
      }
      if (started === null && this.#stopsEarly()) break;
      if (started === null && await this.#attend()) return await this.#stop({ outOfTime: this.#isLate() });
      started = await this.#timed("stepping", () => this.#runStep(started));
      if (started !== null) continue;
      if (this.options.shouldStop()) return await this.#stop({ outOfTime: false });
      const isLast = this.#step >= config.max_iters;
      if (this.#lacksTime(isLast ? "estimating" : "stepping")) return await this.#stop({ outOfTime: true });
    }
    if (this.#estimatedAt !== this.#step) await this.#estimate();
    if (!config.eval_only && this.#savedAt !== this.#step) await this.#save(false);
    const task = await this.#evaluateTask();
    if (task !== null) this.options.observer.evaluated?.({ step: this.#step, task });
    return this.#result({ task });
  }

  /** Does what people ask for between two steps, and stays there while they want a pause. Resolves to whether the run is to end. */
  async #attend(): Promise<boolean> {
    const { shouldEstimate, shouldSave, isPaused, shouldStop, observer } = this.options;
    for (let paused = false;; paused = true) {
      if (shouldEstimate?.()) await this.#timed("estimating", () => this.#look());
      if (shouldSave?.() && this.#step > 0) await this.#save(false);
      if (paused && (shouldStop() || this.#isLate())) return true;
      if (!isPaused?.()) return false;
      observer.begins?.("paused");
      await delay(PAUSE_LOOK_MS);
    }
  }

  #isLate(): boolean {
    return this.#lacksTime("stepping");
  }

  /** Ends before the last step, or before what follows it, with all that was done on disk. */
  async #stop({ outOfTime }: { outOfTime: boolean }): Promise<RunResult> {
    this.#isEnding = true;
    if (this.#savedAt !== this.#step) await this.#save(false);
    return this.#result({ stopped: true, outOfTime, task: null });
  }

  #result(
    { stopped = false, outOfTime = false, task }: {
      stopped?: boolean;
      outOfTime?: boolean;
      task: TaskResult | null;
    },
  ): RunResult {
    const stateHash = this.options.group.position.stateHash ?? "";
    return { step: this.#step, stopped, outOfTime, stateHash, valLoss: this.#valLoss, task };
  }

  #stopsEarly(): boolean {
    const { early_stopping_patience: patience, early_stopping_threshold: threshold } = this.options.config;
    if (patience === null) return false;
    const state = earlyStopping(this.#valLosses, { patience, threshold });
    if (state.stops) this.options.observer.stopsEarly?.(state);
    return state.stops;
  }

  #lacksTime(activity: "stepping" | "estimating"): boolean {
    return this.#step > 0 && this.#limit.isUp(activity, this.options.group.now());
  }

  async #timed<T>(activity: Exclude<TimedActivity, "saving">, act: () => Promise<T>): Promise<T> {
    const began = this.options.group.now();
    const result = await act();
    this.#limit.took(activity, this.options.group.now() - began);
    return result;
  }

  /** Whether `next` is a step that follows the one before at once. */
  #goesOn(next: number): boolean {
    const { config: { max_iters, eval_interval }, shouldStop, shouldSave, shouldEstimate, isPaused } =
      this.options;
    if (next >= max_iters || next % eval_interval === 0) return false;
    return !shouldStop() && !shouldSave?.() && !shouldEstimate?.() && !isPaused?.() && !this.#isLate();
  }

  /** The step; resolves to the next one where that is under way. */
  async #runStep(started: StartedStep | null): Promise<StartedStep | null> {
    const { group, ledger, config, observer, shouldStop, audits } = this.options;
    const step = this.#step;
    observer.begins?.("stepping");
    const { loss, gradNorm, learningRate, durationMs, phases, next } = await this.#madeStep(() =>
      runStep({
        ...{ group, ledger, config, started, shouldStop, audits },
        goesOn: (next) => this.#goesOn(next),
        onHeld: (error) => observer.held?.(error),
      })
    );
    const tokens = config.gradient_accumulation_steps * config.batch_size * config.block_size;
    observer.step?.({
      step,
      loss,
      lr: learningRate,
      grad_norm: gradNorm,
      tokens: this.#step * tokens,
      tokens_per_sec: tokens / durationMs * 1000,
      mfu: this.#utilization(tokens / durationMs * 1000),
      dt_ms: durationMs,
      compute_ms: phases.computeMs,
      prepare_ms: phases.prepareMs,
      apply_ms: phases.applyMs,
      overhead_ms: phases.overheadMs,
      workers: [...phases.workers],
    });
    return next;
  }

  /** nanoGPT's MFU: what the model needs of what all members' devices could do; null where nobody said what that is. */
  #utilization(tokensPerSecond: number): number | null {
    const { group: { ids }, config: { peak_tflops } } = this.options;
    if (peak_tflops === null || this.#info === undefined) return null;
    return this.#info.flopsPerToken * tokensPerSecond / (1e12 * peak_tflops * ids.length);
  }

  async #madeStep(make: () => Promise<StepOutcome>): Promise<StepOutcome> {
    try {
      return await make();
    } catch (error) {
      const isNonFinite = error instanceof LockstepError && error.code === "E_NON_FINITE";
      throw isNonFinite ? this.#nonFinite(error.message) : error;
    }
  }

  #nonFinite(what: string): LockstepError {
    const kept = this.#savedAt >= 0
      ? `the checkpoint of step ${this.#savedAt} is kept`
      : "no checkpoint was saved yet";
    return new LockstepError("E_NON_FINITE", `${what}: ${kept}; lower --learning_rate or --grad_clip`);
  }

  /** nanoGPT's estimate of both losses; saves if it is the best, or at every estimate if asked to. */
  async #estimate(): Promise<void> {
    const { config, observer } = this.options;
    const { train, val } = await this.#losses();
    this.#valLoss = val;
    this.#valLosses.set(this.#step, val);
    this.#estimatedAt = this.#step;
    // The weights that it started with have no checkpoint: the best is the best of those that have.
    const best = this.#step > 0 && (this.#best === null || val < this.#best);
    if (best) this.#best = val;
    await this.#sample();
    observer.estimate?.({ step: this.#step, train, val, best, asked: false });
    if (this.#step > 0 && !config.eval_only && (best || config.always_save_checkpoint)) {
      await this.#save(best);
    }
  }

  /** An estimate that somebody asked for: it shows where the run is, and counts for nothing that the run decides. */
  async #look(): Promise<void> {
    const { train, val } = await this.#losses();
    await this.#sample();
    this.options.observer.estimate?.({ step: this.#step, train, val, best: false, asked: true });
  }

  async #losses(): Promise<{ train: number; val: number }> {
    const { group, config, observer } = this.options;
    observer.begins?.("estimating");
    const request = { kind: "estimate", iters: config.eval_iters } as const;
    const result = await evaluate(group, {
      evaluation: this.#evaluations++,
      request,
      batchCount: 2 * config.eval_iters,
    });
    const { train, val } = estimatedLosses(result);
    if (Number.isFinite(train + val)) return { train, val };
    throw this.#nonFinite(
      `Cannot go on from step ${this.#step} as its train loss is ${train}, val loss ${val}`,
    );
  }

  /** Has the model write, as a person can judge a text better than a loss. */
  async #sample(): Promise<void> {
    const { group, config: { eval_samples }, observer } = this.options;
    if (this.#step === 0 || eval_samples === 0) return;
    const { shown } = await evaluate(group, {
      evaluation: this.#evaluations++,
      request: { kind: "sample", samples: eval_samples, maxNewTokens: SAMPLE_TOKENS },
      batchCount: 1,
    });
    const samples = Array.from({ length: shown.length / 2 }, (_, i) => {
      return { step: this.#step, prompt: shown[2 * i], text: shown[2 * i + 1] };
    });
    if (samples.length > 0) observer.sampled?.(samples);
  }

  /** Saves the state. Training goes on where nothing can be written, and the checkpoints before stay. */
  async #save(best: boolean): Promise<void> {
    const { group, ledger, store, observer } = this.options;
    observer.begins?.("saving");
    const began = group.now();
    try {
      await ledger.sync();
      const path = await saveCheckpoint(store, group, {
        parameters: this.#info?.parameters ?? [],
        facts: {
          state_hash: group.position.stateHash ?? "",
          config_hash: this.#configHash,
          val_loss: this.#valLoss,
          best_val_loss: this.#best,
        },
        best,
      });
      this.#savedAt = this.#step;
      this.#limit.took("saving", group.now() - began);
      observer.checkpoint?.({ step: this.#step, path });
    } catch (error) {
      const isForNow = error instanceof LockstepError && ["E_NO_SPACE", "E_OUT_DIR"].includes(error.code);
      if (!isForNow || this.#isLast()) throw error;
      observer.checkpointFailed?.(error);
    }
  }

  #isLast(): boolean {
    return this.#isEnding || this.#step >= this.options.config.max_iters || this.options.shouldStop();
  }

  /** The task's evaluation at the end: sorting, or perplexity over the whole validation part. */
  async #evaluateTask(): Promise<TaskResult | null> {
    const { group, config, observer } = this.options;
    if (config.eval_items === 0 || evaluatesBest(config)) return null;
    observer.begins?.("evaluating");
    const stopped = (code: "E_INTERRUPTED" | "E_TIME") =>
      evaluationStopped(code, { step: this.#step, config });
    const task = await openEvaluation(taskOf(config), config);
    try {
      return await evaluateTask({
        ...{ task, group, config },
        evaluation: this.#evaluations++,
        onProgress: (done, of) => {
          if (this.options.shouldStop()) throw stopped("E_INTERRUPTED");
          if (this.#limit.isOver(group.now())) throw stopped("E_TIME");
          observer.evaluating?.({ done, of });
        },
      });
    } finally {
      task.close();
    }
  }
}
