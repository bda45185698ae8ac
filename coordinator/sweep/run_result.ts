import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../shared/files.ts";

const count = z.int().nonnegative();
/** JSON has no infinity: a bound that is none is null. */
const measured = z.number().nullable();

const metricSchema = z.strictObject({
  value: measured,
  low: measured,
  high: measured,
  chance: measured,
  n: count,
});

/** The curve's columns, a row for each estimate of the loss. */
const curveSchema = z.strictObject({
  step: z.array(count),
  train_loss: z.array(measured),
  val_loss: z.array(measured),
});

export type Curve = z.infer<typeof curveSchema>;

const resultSchema = z.strictObject({
  format: z.literal(1),
  sweep: z.string(),
  variant: z.string(),
  seed: count,
  /** `stopped` is one that its budget ended before its last step. */
  status: z.enum(["finished", "stopped"]),
  /** Of `config`. */
  config_hash: z.string(),
  /** What decided the weights, by key. */
  config: z.record(z.string(), z.json()),
  parameters: count,
  /** Forward and backward, as nanoGPT counts. */
  flops_per_token: z.number().positive(),
  max_iters: count,
  /** Steps that were trained … */
  steps: count,
  /** … the tokens in them, and the time that they took, estimates and checkpoints with them, in s. */
  tokens: count,
  seconds: z.number().nonnegative(),
  budget_seconds: z.number().positive().nullable(),
  /** The last estimate of the validation loss, in nats. */
  val_loss: measured,
  eval_items: count,
  /** Metrics by task and name. */
  tasks: z.record(z.string(), z.record(z.string(), metricSchema)),
  curve: curveSchema,
  engine: z.string(),
  device: z.string(),
  versions: z.record(z.string(), z.string()),
  git_revision: z.string().nullable(),
  machine: z.string(),
  /** When the result was written, ISO 8601, UTC. */
  date: z.string(),
});

/** What is kept of a run of a sweep: a few KB of JSON, from which reports are made. */
export type RunResult = z.infer<typeof resultSchema>;

/** The metrics of tasks, as `eval --json` prints them. */
export const taskMetricsSchema = resultSchema.shape.tasks;

export type TaskMetrics = RunResult["tasks"];

/** Writes a result, a line for each of its fields. Throws E_NO_SPACE, E_OUT_DIR. */
export async function writeResult(path: string, result: RunResult): Promise<void> {
  const fields = Object.entries(result).map(([name, value]) =>
    `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`
  );
  await writeFileAtomic(path, `{\n${fields.join(",\n")}\n}\n`);
}

/** Reads a result; null where there is none. Throws E_DECODE, naming the field, where it is damaged. */
export async function readResult(path: string): Promise<RunResult | null> {
  const text = await textIfThere(path);
  if (text === null) return null;
  const parsed = resultSchema.safeParse(parseJson(text, path));
  if (parsed.success) return parsed.data;
  const { path: field, message } = parsed.error.issues[0];
  throw new LockstepError("E_DECODE", `Cannot read ${path} as its "${field.join(".")}" is wrong: ${message}`);
}

async function textIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LockstepError("E_DECODE", `Cannot read ${path} as it is no JSON`, { cause });
  }
}
