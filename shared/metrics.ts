import { z } from "zod";
import { LockstepError } from "./errors.ts";
import { JsonlWriter, parseText, readJsonl } from "./jsonl.ts";

const count = z.number().int().nonnegative();
/** JSON has no NaN: a number that was not finite is null. */
const measured = z.number().nullable();

const workerSchema = z.object({
  id: z.string(),
  /** Own gradients … */
  compute_ms: measured,
  /** … standing still until the slowest worker has its own, … */
  wait_ms: measured,
  /** … what is left of the reduction by then, … */
  reduce_ms: measured,
  /** … and the update. */
  apply_ms: measured,
});

/** What a worker did in a step: `compute_ms + wait_ms + reduce_ms + apply_ms` is at most `dt_ms`. */
export type WorkerPhases = z.infer<typeof workerSchema>;

const metricsSchema = z.object({
  /** The step that was taken, from 0. */
  step: count,
  /** When the line was written, in seconds since 1970. */
  time: measured.optional(),
  /** Mean training loss of the step's batch. */
  loss: measured,
  lr: measured,
  /** Norm of the gradient before clipping. */
  grad_norm: measured,
  /** Tokens trained on since the run's first step. */
  tokens: count,
  tokens_per_sec: measured,
  /** Share of the workers' peak FLOP/s that the model uses, 0 to 1; null where `peak_tflops` is not given. */
  mfu: measured,
  /** Duration of the step. */
  dt_ms: measured,
  /** Of it, the slowest member's own gradients … */
  compute_ms: measured.optional(),
  /** … with the reduction, … */
  prepare_ms: measured.optional(),
  /** … and its update. */
  apply_ms: measured.optional(),
  /** Between the two, messages and the ledger: from the last member's PREPARED to its COMMIT. */
  overhead_ms: measured.optional(),
  /** By rank. */
  workers: z.array(workerSchema).optional(),
}).loose();

/** A line of metrics.jsonl; more may stand beside these. */
export type MetricsLine = z.infer<typeof metricsSchema>;

const evalSchema = z.object({
  /** Steps that the evaluated weights had taken. */
  step: count,
  /** When the line was written, in seconds since 1970. */
  time: measured.optional(),
  task: z.string(),
  /** An estimate that a person asked for, besides those at every eval_interval. */
  asked: z.boolean().optional(),
  metrics: z.record(z.string(), measured),
});

/** A line of eval.jsonl: the figures of one evaluation. */
export type EvalLine = z.infer<typeof evalSchema>;

const sampleSchema = z.object({
  /** Steps that the weights had taken. */
  step: count,
  /** What the model went on from; empty where it began by itself. */
  prompt: z.string(),
  text: z.string(),
});

/** A line of samples.jsonl: what the model wrote when its losses were estimated. */
export type SampleLine = z.infer<typeof sampleSchema>;

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

/** Opens samples.jsonl to append; lines about weights with more than `resumeAt` steps are cut off. */
export function openSamples(
  path: string,
  options: { resumeAt?: number } = {},
): Promise<LineWriter<SampleLine>> {
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
  for await (const { step, task, asked, metrics: { val_loss } } of readEvals(path)) {
    if (task === "estimate" && !asked && typeof val_loss === "number") losses.set(step, val_loss);
  }
  return losses;
}

/** Streams samples.jsonl; a missing file is empty. Throws E_DECODE on a line that is none. */
export async function* readSamples(path: string): AsyncGenerator<SampleLine> {
  for await (const value of readJsonl(path)) yield parse(sampleSchema, { value, path });
}

/** A line of eval.jsonl; null where it is none, say one of another program. */
export function parseEval(text: string): EvalLine | null {
  return parseText(evalSchema, text);
}

/** A line of samples.jsonl; null where it is none. */
export function parseSample(text: string): SampleLine | null {
  return parseText(sampleSchema, text);
}

/** What workers did in the step of a line of metrics.jsonl; none where it does not say. */
export function parseWorkers(workers: unknown): WorkerPhases[] {
  return z.array(workerSchema).safeParse(workers).data ?? [];
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
