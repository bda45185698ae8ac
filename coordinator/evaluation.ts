import type { EvaluationRequest } from "../shared/protocol/evaluation_request.ts";
import { addTotals, type Totals } from "../shared/tasks/task.ts";
import { LockstepError } from "../shared/errors.ts";
import type { Members } from "./members.ts";

/** What all batches of an evaluation came to. */
export interface EvaluationResult {
  /** By batch. */
  readonly totals: Totals[];
  readonly shown: string[];
}

export interface EvaluationOptions {
  readonly at: { epoch: number; generation: number };
  /** A number that no other evaluation of the run has. */
  readonly evaluation: number;
  readonly request: EvaluationRequest;
  readonly batchCount: number;
  onProgress?(done: number): void;
}

/** Batches that a member has before it is dealt the next one. */
const IN_FLIGHT = 2;

/** Deals the batches of an evaluation to the members, each whole and once, and collects the results by batch. */
export async function evaluate(members: Members, options: EvaluationOptions): Promise<EvaluationResult> {
  const { at, evaluation, request, batchCount, onProgress } = options;
  const totals = new Map<number, Totals>();
  const shown: string[] = [];
  let next = 0;
  const deal = (id: string) => {
    if (next < batchCount) {
      members.send(id, { type: "EVAL_DEAL", ...at, evaluation, task: request, batches: [next++] });
    }
  };
  for (let round = 0; round < IN_FLIGHT; round++) members.ids.forEach(deal);
  while (totals.size < batchCount) {
    const { from, message } = await members.next();
    if (message.type !== "EVAL_RESULT" || message.evaluation !== evaluation || totals.has(message.batch)) {
      throw new LockstepError(
        "E_DECODE",
        `Cannot evaluate: ${from} sent ${message.type} in place of a new result`,
      );
    }
    totals.set(message.batch, message.result);
    shown.push(...message.shown);
    deal(from);
    onProgress?.(totals.size);
  }
  return { totals: Array.from({ length: batchCount }, (_, batch) => totals.get(batch) ?? {}), shown };
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
