import { z } from "zod";
import { LockstepError } from "./errors.ts";
import { JsonlWriter, readJsonl } from "./jsonl.ts";

const count = z.number().int().nonnegative();
/** JSON has no NaN: a number that was not finite is null. */
const measured = z.number().nullable();

const metricsSchema = z.object({
  /** The step that was taken, from 0. */
  step: count,
  /** Mean training loss of the step's batch. */
  loss: measured,
  lr: measured,
  /** Norm of the gradient before clipping. */
  grad_norm: measured,
  /** Tokens trained on since the run's first step. */
  tokens: count,
  tokens_per_sec: measured,
  /** Share of the device's peak FLOP/s that the model uses, 0 to 1; null where the peak is not known. */
  mfu: measured,
  /** Duration of the step. */
  dt_ms: measured,
  /** Of it, the slowest member's own gradients … */
  compute_ms: measured.optional(),
  /** … with the reduction, … */
  prepare_ms: measured.optional(),
  /** … and its update. */
  apply_ms: measured.optional(),
  /** The rest: messages, the ledger, and what was done again. */
  overhead_ms: measured.optional(),
}).catchall(measured);

/** A line of metrics.jsonl; more numbers may stand beside these. */
export type MetricsLine = z.infer<typeof metricsSchema>;

const evalSchema = z.object({
  /** Steps that the evaluated weights had taken. */
  step: count,
  task: z.string(),
  metrics: z.record(z.string(), measured),
});

/** A line of eval.jsonl: the figures of one evaluation. */
export type EvalLine = z.infer<typeof evalSchema>;

/** Appends lines of one type to a file. */
export interface LineWriter<T> extends Disposable {
  append(line: T): void;
}

/** Opens metrics.jsonl to append; lines of step `resumeAt` and later are cut off, as a resumed run takes those steps again. */
export function openMetrics(
  path: string,
  options: { resumeAt?: number } = {},
): Promise<LineWriter<MetricsLine>> {
  const { resumeAt = Infinity } = options;
  return JsonlWriter.open(path, { keep: (value) => stepIn(value) < resumeAt });
}

/** Opens eval.jsonl to append; lines about weights with more than `resumeAt` steps are cut off. */
export function openEvals(path: string, options: { resumeAt?: number } = {}): Promise<LineWriter<EvalLine>> {
  const { resumeAt = Infinity } = options;
  return JsonlWriter.open(path, { keep: (value) => stepIn(value) <= resumeAt });
}

/** Streams metrics.jsonl; a missing file is empty. Throws E_DECODE on a line that is none. */
export async function* readMetrics(path: string): AsyncGenerator<MetricsLine> {
  for await (const value of readJsonl(path)) yield parse(metricsSchema, { value, path });
}

/** Streams eval.jsonl; a missing file is empty. Throws E_DECODE on a line that is none. */
export async function* readEvals(path: string): AsyncGenerator<EvalLine> {
  for await (const value of readJsonl(path)) yield parse(evalSchema, { value, path });
}

/** The estimates of the validation loss that an eval.jsonl holds, by step. */
export async function readValLosses(path: string): Promise<Map<number, number>> {
  const losses = new Map<number, number>();
  for await (const { step, task, metrics: { val_loss } } of readEvals(path)) {
    if (task === "estimate" && typeof val_loss === "number") losses.set(step, val_loss);
  }
  return losses;
}

/** The step of a line; one that has none is as good as the oldest. */
function stepIn(value: unknown): number {
  const parsed = z.object({ step: z.number() }).safeParse(value);
  return parsed.success ? parsed.data.step : -1;
}

function parse<T>(schema: z.ZodType<T>, options: { value: unknown; path: string }): T {
  const parsed = schema.safeParse(options.value);
  if (parsed.success) return parsed.data;
  const { path: field, message } = parsed.error.issues[0];
  throw new LockstepError(
    "E_DECODE",
    `Cannot read ${options.path} as a line's "${field.join(".")}" is wrong: ${message}`,
  );
}
