import type { CheckpointStore } from "../shared/checkpoint/store.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { MetricsLine } from "../shared/metrics.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import { stepScalars } from "../shared/schedule.ts";
import { saveCheckpoint, type Snapshot } from "./checkpoints.ts";
import { evaluateTask, taskOf, type TaskResult } from "./evaluate_task.ts";
import { estimatedLosses, evaluate } from "./evaluation.ts";
import { FIRST, formMembers, type MemberInfo, sameOf } from "./forming.ts";
import type { Members } from "./members.ts";
import { dealShards } from "./plan.ts";

/** What a run tells while it goes on; every part is optional for whoever listens. */
export interface RunObserver {
  /** All members are ready: what they compute with. */
  ready?(info: MemberInfo): void;
  /** A step was applied. */
  step?(metrics: MetricsLine): void;
  estimate?(estimate: { step: number; train: number; val: number; best: boolean }): void;
  checkpoint?(saved: { step: number; path: string }): void;
  /** A checkpoint could not be written; the run goes on. */
  checkpointFailed?(error: LockstepError): void;
  evaluating?(progress: { done: number; of: number }): void;
  /** The task's evaluation at the end. */
  evaluated?(result: { step: number; task: TaskResult }): void;
}

export interface CoordinatorOptions {
  readonly members: Members;
  readonly config: RunConfig;
  readonly configHash: string;
  readonly store: CheckpointStore;
  /** Where to go on; null starts anew. */
  readonly snapshot: Snapshot | null;
  readonly observer: RunObserver;
  /** True once somebody asked the run to end after the step under way. */
  shouldStop(): boolean;
  /** Called when the members are ready, before the first step: compares and writes the manifest. Its result is kept in checkpoints. */
  accept(info: MemberInfo): Promise<{ configHash: string }>;
}

/** How a run ended. */
export interface RunResult {
  readonly step: number;
  readonly stopped: boolean;
  readonly stateHash: string;
  readonly valLoss: number | null;
  readonly task: TaskResult | null;
}

/** A coordinator's life: forms the members, runs the steps, evaluates, saves, and drains. */
export async function runCoordinator(options: CoordinatorOptions): Promise<RunResult> {
  const run = new Run(options);
  await run.form();
  const result = await run.train();
  options.members.broadcast({ type: "DRAIN" });
  return result;
}

class Run {
  readonly #tree: ReductionTree;
  #info: MemberInfo | undefined;
  #configHash: string;
  #step = 0;
  #stateHash = "";
  #best: number | null = null;
  #valLoss: number | null = null;
  #savedAt = -1;
  #evaluations = 0;

  constructor(private readonly options: CoordinatorOptions) {
    this.#tree = new ReductionTree(options.config.gradient_accumulation_steps);
    this.#configHash = options.configHash;
  }

  /** FORMING, and the manifest. */
  async form(): Promise<void> {
    const { members, config, configHash, snapshot, observer, accept } = this.options;
    const shards = dealShards(config.gradient_accumulation_steps, members.size);
    const { info, stateHash } = await formMembers(members, { config, configHash, shards, snapshot });
    this.#info = info;
    this.#stateHash = stateHash;
    this.#step = snapshot?.step ?? 0;
    this.#best = snapshot?.bestValLoss ?? null;
    this.#savedAt = snapshot?.step ?? -1;
    this.#configHash = (await accept(info)).configHash;
    observer.ready?.(info);
  }

  /** RUNNING: estimates and checkpoints at their intervals, and the steps between them. */
  async train(): Promise<RunResult> {
    const { config } = this.options;
    let stopped = false;
    while (this.#step < config.max_iters && !config.eval_only) {
      if (this.#step % config.eval_interval === 0 && this.#step !== this.#savedAt) await this.#estimate();
      await this.#runStep();
      stopped = this.options.shouldStop();
      if (stopped) break;
    }
    if (stopped) {
      await this.#save(false);
      return this.#result({ stopped, task: null });
    }
    await this.#estimate();
    if (!config.eval_only && this.#savedAt !== this.#step) await this.#save(false);
    const task = await this.#evaluateTask();
    if (task !== null) this.options.observer.evaluated?.({ step: this.#step, task });
    return this.#result({ stopped, task });
  }

  #result({ stopped, task }: { stopped: boolean; task: TaskResult | null }): RunResult {
    return { step: this.#step, stopped, stateHash: this.#stateHash, valLoss: this.#valLoss, task };
  }

  /** One step: all compute and reduce, all prepare the same gradient, all apply it. */
  async #runStep(): Promise<void> {
    const { members, config, observer } = this.options;
    const began = performance.now();
    const step = this.#step;
    const key = { ...FIRST, step, attempt: 0 };
    const scalars = stepScalars(step, config);
    members.broadcast({ type: "STEP", ...key, ...scalars });
    const prepared = await members.gather("PREPARED");
    const gradHash = sameOf(prepared.map((p) => p.gradHash), { what: "the reduced gradient", step });
    sameOf(prepared.map((p) => p.stateHash), { what: "the state", step });
    const losses = new Float64Array(config.gradient_accumulation_steps);
    for (const { shard, loss } of prepared.flatMap((p) => p.losses)) losses[shard] = loss;
    const loss = this.#tree.sum(losses) / losses.length;
    const { gradNorm } = prepared[0];
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      throw this.#nonFinite(
        `Cannot apply step ${step} as its loss is ${loss}, its gradient's norm ${gradNorm}`,
      );
    }
    members.broadcast({ type: "COMMIT", ...key, gradHash });
    const applied = await members.gather("APPLIED");
    this.#stateHash = sameOf(applied.map((a) => a.stateHash), { what: "the state", step: step + 1 });
    this.#step = step + 1;
    const dt_ms = performance.now() - began;
    const tokens = config.gradient_accumulation_steps * config.batch_size * config.block_size;
    observer.step?.({
      step,
      loss,
      lr: scalars.learningRate,
      grad_norm: gradNorm,
      tokens: this.#step * tokens,
      tokens_per_sec: tokens / dt_ms * 1000,
      mfu: null,
      dt_ms,
    });
  }

  #nonFinite(what: string): LockstepError {
    const kept = this.#savedAt >= 0
      ? `the checkpoint of step ${this.#savedAt} is kept`
      : "no checkpoint was saved yet";
    return new LockstepError("E_NON_FINITE", `${what}: ${kept}; lower --learning_rate or --grad_clip`);
  }

  /** nanoGPT's estimate of both losses; saves if it is the best, or at every estimate if asked to. */
  async #estimate(): Promise<void> {
    const { members, config, observer } = this.options;
    const request = { kind: "estimate", iters: config.eval_iters } as const;
    const result = await evaluate(members, {
      at: FIRST,
      evaluation: this.#evaluations++,
      request,
      batchCount: 2 * config.eval_iters,
    });
    const { train, val } = estimatedLosses(result);
    if (!Number.isFinite(train + val)) {
      throw this.#nonFinite(
        `Cannot go on from step ${this.#step} as its train loss is ${train}, val loss ${val}`,
      );
    }
    this.#valLoss = val;
    const best = this.#best === null || val < this.#best;
    if (best) this.#best = val;
    observer.estimate?.({ step: this.#step, train, val, best });
    if (this.#step > 0 && !config.eval_only && (best || config.always_save_checkpoint)) {
      await this.#save(best);
    }
  }

  /** Saves the state. Training goes on where nothing can be written, and the checkpoints before stay. */
  async #save(best: boolean): Promise<void> {
    const { members, store, observer } = this.options;
    try {
      const path = await saveCheckpoint(store, members, {
        at: { ...FIRST, step: this.#step },
        parameters: this.#info?.parameters ?? [],
        facts: {
          state_hash: this.#stateHash,
          config_hash: this.#configHash,
          val_loss: this.#valLoss,
          best_val_loss: this.#best,
        },
        best,
      });
      this.#savedAt = this.#step;
      observer.checkpoint?.({ step: this.#step, path });
    } catch (error) {
      const isForNow = error instanceof LockstepError && ["E_NO_SPACE", "E_OUT_DIR"].includes(error.code);
      if (!isForNow || this.#isLast()) throw error;
      observer.checkpointFailed?.(error);
    }
  }

  /** Its figures count only if they are whole. */
  #evaluationStopped(): LockstepError {
    return new LockstepError(
      "E_INTERRUPTED",
      `Stopped during the evaluation after step ${this.#step}`,
    );
  }

  #isLast(): boolean {
    return this.#step >= this.options.config.max_iters || this.options.shouldStop();
  }

  /** The task's evaluation at the end: sorting, or perplexity over the whole validation part. */
  async #evaluateTask(): Promise<TaskResult | null> {
    const { members, config, observer } = this.options;
    if (config.eval_items === 0) return null;
    return await evaluateTask({
      name: taskOf(config),
      members,
      config,
      evaluation: this.#evaluations++,
      onProgress: (done, of) => {
        if (this.options.shouldStop()) throw this.#evaluationStopped();
        observer.evaluating?.({ done, of });
      },
    });
  }
}
