import type { EvaluationRequest } from "../shared/protocol/evaluation_request.ts";
import type { Report } from "../shared/protocol/messages.ts";
import { addTotals, type Totals } from "../shared/tasks/task.ts";
import type { Activity } from "./activity.ts";
import type { Group } from "./group.ts";

/** What all batches of an evaluation came to. */
export interface EvaluationResult {
  /** By batch. */
  readonly totals: Totals[];
  readonly shown: string[];
}

export interface EvaluationOptions {
  /** A number that no other evaluation of the run has. */
  readonly evaluation: number;
  readonly request: EvaluationRequest;
  readonly batchCount: number;
  /** May throw to end the evaluation. */
  onProgress?(done: number): void;
}

/** Batches that a member has before it is dealt the next one. */
const IN_FLIGHT = 2;

/** Deals the batches of an evaluation to the members, each whole and once, and collects the results by batch. */
export function evaluate(group: Group, options: EvaluationOptions): Promise<EvaluationResult> {
  const round = new EvaluationRound(group, options);
  group.run(round);
  return round.outcome.promise.finally(() => group.done());
}

class EvaluationRound implements Activity {
  readonly outcome = Promise.withResolvers<EvaluationResult>();
  readonly #totals = new Map<number, Totals>();
  readonly #shown: string[] = [];
  /** Batches that nobody has, the first at the end. */
  readonly #open: number[];
  /** By member: what it has. */
  readonly #dealt = new Map<string, Set<number>>();

  constructor(private readonly group: Group, private readonly options: EvaluationOptions) {
    this.#open = Array.from({ length: options.batchCount }, (_, i) => options.batchCount - 1 - i);
  }

  /** What members had in an earlier generation they have given up. */
  start(): void {
    for (const id of [...this.#dealt.keys()]) this.#takeBack(id);
    for (let round = 0; round < IN_FLIGHT; round++) for (const id of this.group.ids) this.#deal(id);
    this.#finishIfDue();
  }

  take(from: string, report: Report): void {
    if (report.type !== "EVAL_RESULT" || report.evaluation !== this.options.evaluation) return;
    this.#dealt.get(from)?.delete(report.batch);
    if (!this.#totals.has(report.batch)) {
      this.#totals.set(report.batch, report.result);
      this.#shown.push(...report.shown);
    }
    try {
      this.options.onProgress?.(this.#totals.size);
    } catch (error) {
      return this.fail(error);
    }
    this.#deal(from);
    this.#finishIfDue();
  }

  /** The others take over what it had. */
  lost(id: string): boolean {
    this.#takeBack(id);
    for (const other of this.group.ids) this.#deal(other);
    return this.group.ids.length === 0;
  }

  fail(error: unknown): void {
    this.outcome.reject(error);
  }

  unfinished(): readonly string[] {
    return this.group.ids.filter((id) => (this.#dealt.get(id)?.size ?? 0) > 0);
  }

  #deal(id: string): void {
    const own = this.#dealt.get(id) ?? new Set();
    if (own.size >= IN_FLIGHT) return;
    const batch = this.#open.pop();
    if (batch === undefined) return;
    this.#dealt.set(id, own.add(batch));
    const { epoch, generation } = this.group;
    const { evaluation, request } = this.options;
    this.group.send(id, {
      type: "EVAL_DEAL",
      epoch,
      generation,
      evaluation,
      task: request,
      batches: [batch],
    });
  }

  #takeBack(id: string): void {
    const open = [...this.#dealt.get(id) ?? []].filter((batch) => !this.#totals.has(batch));
    this.#open.push(...open);
    this.#open.sort((a, b) => b - a);
    this.#dealt.delete(id);
  }

  #finishIfDue(): void {
    const { batchCount } = this.options;
    if (this.#totals.size < batchCount) return;
    const totals = Array.from({ length: batchCount }, (_, batch) => this.#totals.get(batch) ?? {});
    this.outcome.resolve({ totals, shown: this.#shown });
  }
}

/** The sum over all batches, added in their order. */
export function totalOf({ totals }: EvaluationResult): Totals {
  return addTotals(totals);
}

/** Mean losses of nanoGPT's estimate: the first half of the batches is the training part, the second the validation part. */
export function estimatedLosses({ totals }: EvaluationResult): { train: number; val: number } {
  const half = totals.length / 2;
  const mean = (part: Totals[]) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
  return { train: mean(totals.slice(0, half)), val: mean(totals.slice(half)) };
}
