import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { Message, Order, Report } from "../shared/protocol/messages.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import { stepScalars } from "../shared/schedule.ts";
import type { Activity } from "./activity.ts";
import type { Group } from "./group.ts";
import type { Ledger } from "./ledger.ts";
import { type MemberTimes, phasesOf, type StepPhases } from "./step_phases.ts";

/** A step that is decided and applied by all members. */
export interface StepOutcome {
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly stateHash: string;
  readonly durationMs: number;
  readonly phases: StepPhases;
  /** The next step where it is under way already; to be made at once. */
  readonly next: StartedStep | null;
}

/** A step that members were told to compute together with the decision of the one before. */
export interface StartedStep {
  readonly generation: number;
  /** What came of it while members were still applying the one before. */
  readonly prepared: ReadonlyMap<string, Prepared>;
}

export interface StepOptions {
  readonly group: Group;
  readonly ledger: Ledger;
  readonly config: RunConfig;
  /** True once somebody asked the run to end: a step that cannot be written is not waited for. */
  shouldStop(): boolean;
  /** The step, where the one before started it. */
  readonly started?: StartedStep | null;
  /** Whether nothing comes between this step and the `next` one: then members need not wait for STEP. */
  goesOn?(next: number): boolean;
  /** Whether members that compute the same shard must get the same gradient. */
  audits?(): boolean;
  /** Told once if the ledger cannot be written for now. */
  onHeld?(error: LockstepError): void;
}

type Prepared = Message<Report, "PREPARED">;
type Applied = Message<Report, "APPLIED">;

/** How long a step waits for a ledger that cannot be written, in ms, before the run ends. */
const LEDGER_PATIENCE_MS = 30_000;

/**
 * Makes the step at the group's position: all compute and reduce, all prepare the same gradient, its line is written, all
 * apply it. Whatever happens to members, the same step is made again with those that are left, who compute only what is
 * missing. Rejects with E_DIVERGED, E_NON_FINITE, E_NO_SPACE; with WentBack where nobody has the state any more.
 */
export function runStep(options: StepOptions): Promise<StepOutcome> {
  const round = new StepRound(options);
  options.group.run(round, { isUnderWay: options.started?.generation === options.group.generation });
  return round.outcome.promise;
}

class StepRound implements Activity {
  readonly outcome = Promise.withResolvers<StepOutcome>();
  readonly #step: number;
  readonly #tree: ReductionTree;
  readonly #prepared = new Map<string, Prepared>();
  /** By member, once the step is decided. */
  readonly #applied = new Map<string, Applied>();
  /** Of the next step, once that is started. */
  readonly #early = new Map<string, Prepared>();
  #next: StartedStep | null = null;
  #attempt = -1;
  #isDecided = false;
  readonly #beganAt: number;
  #decidedAt = 0;
  #heldSince: number | null = null;

  constructor(private readonly options: StepOptions) {
    this.#step = options.group.position.step;
    this.#beganAt = options.group.now();
    this.#tree = new ReductionTree(options.config.gradient_accumulation_steps);
  }

  start(): void {
    const { group } = this.options;
    // A roster's members have applied what is decided before they are ready.
    if (this.#isDecided) return this.#finish(group.position.stateHash ?? "");
    this.#attempt++;
    this.#prepared.clear();
    this.#heldSince = null;
    const { started } = this.options;
    if (this.#attempt > 0 || started?.generation !== group.generation) {
      const { epoch, generation } = group, step = this.#step, attempt = this.#attempt;
      return group.broadcast({ type: "STEP", epoch, generation, step, attempt, audit: this.#audit(step) });
    }
    for (const [id, report] of started.prepared) this.#takePrepared(id, report);
  }

  /** Every so many steps somebody else computes a shard too; which and who follows from the step. */
  #audit(step: number): Message<Order, "STEP">["audit"] {
    const { group, config: { audit_interval, gradient_accumulation_steps: V }, audits } = this.options;
    if (!audits?.()) return null;
    if (audit_interval === 0 || step % audit_interval !== 0 || group.ids.length < 2) return null;
    const key = Math.imul(step + 1, 0x9e3779b1) >>> 8;
    const shard = key % V;
    const owner = group.ids.findIndex((id) => group.shards.get(id)?.includes(shard));
    const auditor = (owner + 1 + key % (group.ids.length - 1)) % group.ids.length;
    return { shard, ranks: [owner, auditor] };
  }

  take(from: string, report: Report): void {
    if (report.type === "PREPARED" && !this.#isDecided) {
      if (report.step === this.#step && report.attempt === this.#attempt) this.#takePrepared(from, report);
    } else if (report.type === "PREPARED" && this.#next !== null && report.step === this.#step + 1) {
      this.#early.set(from, report);
    }
    if (report.type === "APPLIED" && this.#isDecided && report.step === this.#step + 1) {
      this.#applied.set(from, report);
      this.#finishIfDue();
    }
  }

  #takePrepared(from: string, report: Prepared): void {
    this.options.group.reach("reduce", this.#step);
    this.#prepared.set(from, report);
    this.#decideIfDue();
  }

  lost(): boolean {
    if (this.#isDecided) this.#finishIfDue();
    else this.#decideIfDue();
    return !this.#isDecided;
  }

  unfinished(): readonly string[] {
    const { group: { ids } } = this.options;
    return ids.filter((id) => !(this.#isDecided ? this.#applied : this.#prepared).has(id));
  }

  fail(error: unknown): void {
    this.outcome.reject(error);
  }

  tick(): void {
    if (this.#heldSince !== null) this.#decideIfDue();
  }

  /** Decides the step once all members that are left have prepared it and the losses of all shards are known. */
  #decideIfDue(): void {
    const { group, ledger, config } = this.options;
    if (this.#isDecided || group.ids.length === 0 || group.ids.some((id) => !this.#prepared.has(id))) return;
    const losses = this.#losses();
    if (losses === null) return;
    try {
      const { gradHash, stateHash } = this.#agreed();
      this.#refuseNonFinite(losses);
      group.reach("prepared", this.#step);
      const perStep = config.gradient_accumulation_steps * config.batch_size;
      ledger.decide({
        epoch: group.epoch,
        generation: group.generation,
        attempt: this.#attempt,
        step: this.#step,
        samples: [this.#step * perStep, (this.#step + 1) * perStep - 1],
        shards: Object.fromEntries([...group.shards].map(([id, shards]) => [id, [...shards]])),
        grad_hash: gradHash,
        state_hash: stateHash,
      });
      this.#isDecided = true;
      this.#decidedAt = group.now();
      group.decide({ step: this.#step, gradHash, ...stepScalars(this.#step, config) }, this.#startNext());
    } catch (error) {
      if (!this.#isHeld(error)) group.fail(error);
    }
  }

  /** Where nothing comes between, members go on from applying this step to computing the next one. */
  #startNext(): Message<Order, "COMMIT">["next"] {
    const { group, goesOn } = this.options;
    if (group.awaitsChange || !goesOn?.(this.#step + 1)) return null;
    this.#next = { generation: group.generation, prepared: this.#early };
    return { audit: this.#audit(this.#step + 1) };
  }

  /** A step that cannot be written down is not decided: it waits, for a while. */
  #isHeld(error: unknown): boolean {
    if (!(error instanceof LockstepError) || !["E_NO_SPACE", "E_OUT_DIR"].includes(error.code)) return false;
    const now = this.options.group.now();
    if (this.#heldSince === null) this.options.onHeld?.(error);
    this.#heldSince ??= now;
    if (now - this.#heldSince < LEDGER_PATIENCE_MS && !this.options.shouldStop()) return true;
    const { message } = error;
    this.options.group.fail(
      new LockstepError(
        "E_LEDGER",
        `Cannot decide step ${this.#step} as the ledger cannot be written: ${message}`,
      ),
    );
    return true;
  }

  /** By shard; null while some are not known. */
  #losses(): Float64Array | null {
    const { gradient_accumulation_steps: V } = this.options.config;
    const losses = new Map<number, number>();
    for (const { losses: own } of this.#prepared.values()) {
      for (const { shard, loss } of own) losses.set(shard, loss);
    }
    if (losses.size < V) return null;
    return Float64Array.from({ length: V }, (_, shard) => losses.get(shard) ?? NaN);
  }

  /** What all have prepared. Different ones are an E_DIVERGED that names the members. */
  #agreed(): Prepared {
    const { ids } = this.options.group;
    const prepared = ids.flatMap((id) => this.#prepared.get(id) ?? []);
    for (const what of ["gradHash", "stateHash"] as const) {
      const other = prepared.findIndex((p) => p[what] !== prepared[0][what]);
      if (other < 0) continue;
      const where = bucketOf(prepared[0].bucketHashes, prepared[other].bucketHashes);
      const whatIn = what === "gradHash" ? `the reduced gradient${where}` : "the state";
      throw this.#diverged(`${whatIn} at step ${this.#step}: ${ids[other]} differs from ${ids[0]}`);
    }
    const audits = ids.flatMap((id) => {
      const hashes = this.#prepared.get(id)?.audited ?? null;
      return hashes === null ? [] : [{ id, hashes }];
    });
    for (const { id, hashes } of audits) {
      if (hashes === audits[0].hashes) continue;
      const where = bucketOf(audits[0].hashes, hashes);
      const shard = `the gradient of the audited shard of step ${this.#step}${where}`;
      throw this.#diverged(`${shard}: ${audits[0].id} and ${id} computed it`);
    }
    return prepared[0];
  }

  #diverged(about: string): LockstepError {
    return new LockstepError("E_DIVERGED", `Members do not agree on ${about}`);
  }

  #mean(losses: Float64Array): number {
    return this.#tree.sum(losses) / losses.length;
  }

  #refuseNonFinite(losses: Float64Array): void {
    const [{ gradNorm }] = this.#prepared.values();
    const loss = this.#mean(losses);
    if (Number.isFinite(loss) && Number.isFinite(gradNorm)) return;
    throw new LockstepError(
      "E_NON_FINITE",
      `Cannot apply step ${this.#step} as its loss is ${loss}, its gradient's norm ${gradNorm}`,
    );
  }

  #finishIfDue(): void {
    const { group } = this.options;
    if (group.ids.length === 0 || group.ids.some((id) => !this.#applied.has(id))) return;
    const [first] = group.ids;
    const stateHash = this.#applied.get(first)?.stateHash ?? "";
    const other = group.ids.find((id) => this.#applied.get(id)?.stateHash !== stateHash);
    if (other !== undefined) {
      return group.fail(
        this.#diverged(`the state at step ${this.#step + 1}: ${other} differs from ${first}`),
      );
    }
    group.advance(stateHash);
    this.#finish(stateHash);
  }

  #finish(stateHash: string): void {
    const { learningRate } = stepScalars(this.#step, this.options.config);
    const losses = this.#losses() ?? new Float64Array(1).fill(NaN);
    const [{ gradNorm }] = this.#prepared.values();
    const loss = this.#mean(losses), next = this.#next;
    const times = { beganAt: this.#beganAt, decidedAt: this.#decidedAt, endedAt: this.options.group.now() };
    const phases = phasesOf(this.#reported(), times);
    if (next === null) this.options.group.done();
    const durationMs = times.endedAt - times.beganAt;
    this.outcome.resolve({ loss, gradNorm, learningRate, stateHash, durationMs, phases, next });
  }

  /** Times of all members, by rank. */
  #reported(): MemberTimes[] {
    return this.options.group.ids.flatMap((id) => {
      const prepared = this.#prepared.get(id);
      if (prepared === undefined) return [];
      const { computeMs, prepareMs } = prepared;
      const { waitedMs = 0, applyMs = 0 } = this.#applied.get(id) ?? {};
      return [{ id, computeMs, prepareMs, waitedMs, applyMs }];
    });
  }
}

/** Where two gradients differ first, in words; nothing where that cannot be said. */
function bucketOf(one: string, other: string): string {
  const buckets = one.length / HASH_DIGITS;
  const first = Array.from({ length: buckets }, (_, bucket) => HASH_DIGITS * bucket)
    .findIndex((at) => one.slice(at, at + HASH_DIGITS) !== other.slice(at, at + HASH_DIGITS));
  return first < 0 || one.length !== other.length ? "" : ` in bucket ${first + 1} of ${buckets}`;
}

const HASH_DIGITS = 32;
