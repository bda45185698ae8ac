import { join } from "node:path";
import { z } from "zod";
import { readTensors } from "../shared/checkpoint/safetensors.ts";
import { LockstepError } from "../shared/errors.ts";
import { stepScalars } from "../shared/schedule.ts";
import { Arena } from "./arena.ts";
import { openEngine } from "./engines/open_engine.ts";
import { loadKernels } from "./kernels/kernels.ts";
import { loadModel } from "./model/load_model.ts";
import { AdamW } from "./optimizer/adamw.ts";
import { clipScale } from "./optimizer/clip.ts";
import { regionNorm } from "./optimizer/norm.ts";

type Measure = "logits" | "loss" | "grads" | "losses" | "grad_norms" | "final";

/** How far an engine is from a reference. */
export interface Verdict {
  readonly case: string;
  readonly engine: string;
  readonly pass: boolean;
  /** The largest absolute differences; of `grad_norms` relative to the norm. */
  readonly worst: Readonly<Record<Measure, number>>;
}

/** The largest difference of a measure so far, and the largest in units of what is allowed: at most 1 passes. */
class Differences {
  readonly worst: Record<Measure, number> = {
    logits: 0,
    loss: 0,
    grads: 0,
    losses: 0,
    grad_norms: 0,
    final: 0,
  };
  pass = true;

  note(measure: Measure, difference: number, allowed: number): void {
    this.worst[measure] = Math.max(this.worst[measure], difference);
    this.pass &&= difference <= allowed; // false for NaN
  }
}

const fixtureConfig = z.object({
  name: z.string(),
  n_layer: z.int(),
  n_head: z.int(),
  n_embd: z.int(),
  block_size: z.int(),
  vocab_size: z.int(),
  bias: z.boolean(),
  dropout: z.number(),
  activation: z.enum(["gelu", "gelu_tanh"]).default("gelu"),
  attention: z.enum(["causal", "reflex", "router"]),
  reflex: z.object({
    heads: z.tuple([z.int(), z.int(), z.int()]).nullable(),
    depth: z.union([z.int(), z.literal("all")]),
    source: z.enum(["hidden", "kv"]),
    combine: z.enum(["concat", "linear", "top_k"]),
    top_k: z.int().nullable(),
    layers: z.union([z.array(z.int()), z.literal("all")]),
  }).nullable(),
  batch_size: z.int(),
  seq_len: z.int(),
  optimizer: z.object({
    learning_rate: z.number(),
    min_lr: z.number(),
    warmup_iters: z.int(),
    lr_decay_iters: z.int(),
    max_iters: z.int(),
    weight_decay: z.number(),
    beta1: z.number(),
    beta2: z.number(),
    eps: z.number(),
    grad_clip: z.number(),
  }),
});

const trajectory = z.object({
  losses: z.array(z.number()),
  grad_norms: z.array(z.number()),
});

/** What a float32 implementation may differ by: the bounds of the reference's README. */
const ALLOWED = {
  logits: 3e-5,
  loss: 5e-6,
  gradAbsolute: 5e-6,
  gradRelative: 1e-5,
  losses: 2e-5,
  gradNorm: 3e-5,
  final: 5e-4,
  finalMean: 1e-4,
};

/** Runs one reference directory (logits, loss, gradients, a trajectory of AdamW steps) on an engine. */
export async function verify(directory: string, engineName: string): Promise<Verdict> {
  const config = await readJson(join(directory, "config.json"), fixtureConfig);
  const expectedSteps = await readJson(join(directory, "trajectory.json"), trajectory);
  const [weights, batch, expected, final] = await Promise.all(
    ["weights", "batch", "expected", "final"].map((name) =>
      readTensors(join(directory, `${name}.safetensors`))
    ),
  );
  const model = await loadModel(config, null);
  const n = model.size;
  const arena = Arena.create({ parameters: n, gradient: n, m: n, v: n, slice: n });
  const kernels = await loadKernels(arena);
  const parameters = arena.region("parameters");
  const gradient = arena.region("gradient");
  for (const { name, offset, size } of model.parameters) {
    parameters.view.set(floatsOf(weights, name, size), offset);
  }

  const memory = { kernels, parameters, slice: arena.region("slice") };
  await using engine = await openEngine(engineName, { model, memory, threads: 1 });
  const shape = { batchSize: config.batch_size, length: config.seq_len };
  const trainer = await engine.trainer(shape);
  const key = { seed: 0, step: 0, shard: 0 };
  const first = { ...shape, tokens: intsOf(batch, "idx"), targets: intsOf(batch, "targets") };

  const logits = await (await engine.forward(shape)).logits(first.tokens);
  const loss = await trainer.gradients(first, gradient, key);
  const differences = new Differences();
  differences.note("logits", largest(logits, floatsOf(expected, "logits")), ALLOWED.logits);
  differences.note("loss", Math.abs(loss - floatsOf(expected, "loss")[0]), ALLOWED.loss);
  for (const { name, offset, size } of model.parameters) {
    const reference = floatsOf(expected, `grad.${name}`, size);
    const allowed = ALLOWED.gradAbsolute + ALLOWED.gradRelative * largest(reference, new Float32Array(size));
    differences.note("grads", largest(gradient.view.subarray(offset, offset + size), reference), allowed);
  }

  const optimizer = new AdamW(kernels, {
    regions: { parameters, gradient, m: arena.region("m"), v: arena.region("v") },
    tensors: model.parameters,
    config: config.optimizer,
  });
  const schedule = { ...config.optimizer, decay_lr: true };
  const [stepTokens, stepTargets] = [intsOf(batch, "step_idx"), intsOf(batch, "step_targets")];
  const elements = shape.batchSize * shape.length;
  for (let step = 0; step < expectedSteps.losses.length; step++) {
    const part = (data: Int32Array) => data.subarray(step * elements, (step + 1) * elements);
    const stepLoss = await trainer.gradients(
      { ...shape, tokens: part(stepTokens), targets: part(stepTargets) },
      gradient,
      key,
    );
    const norm = regionNorm(kernels, gradient);
    optimizer.apply(stepScalars(step, schedule), clipScale(norm, config.optimizer.grad_clip));
    differences.note("losses", Math.abs(stepLoss - expectedSteps.losses[step]), ALLOWED.losses);
    const expectedNorm = expectedSteps.grad_norms[step];
    differences.note("grad_norms", Math.abs(norm - expectedNorm) / expectedNorm, ALLOWED.gradNorm);
  }
  for (const { name, offset, size } of model.parameters) {
    const moved = parameters.view.slice(offset, offset + size);
    const reference = floatsOf(final, name, size);
    if (name.endsWith("attn.c_attn.bias")) forgetKeyBias(moved, reference);
    differences.note("final", largest(moved, reference), ALLOWED.final);
    if (meanDifference(moved, reference) > ALLOWED.finalMean) differences.pass = false;
  }
  return { case: config.name, engine: engineName, pass: differences.pass, worst: differences.worst };
}

/** The loss does not depend on the key part of c_attn's bias (C … 2C − 1): rounding alone moves it. */
function forgetKeyBias(moved: Float32Array, reference: Float32Array): void {
  const C = moved.length / 3;
  moved.set(reference.subarray(C, 2 * C), C);
}

function largest(a: Float32Array, b: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < b.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i])); // NaN stays NaN
  return worst;
}

function meanDifference(a: Float32Array, b: Float32Array): number {
  return b.reduce((sum, x, i) => sum + Math.abs(a[i] - x), 0) / b.length;
}

type Stored = Awaited<ReturnType<typeof readTensors>>;

function floatsOf(tensors: Stored, name: string, size?: number): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array) || (size !== undefined && data.length !== size)) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot verify: ${name} must be float32${size ? ` with ${size} elements` : ""}`,
    );
  }
  return data;
}

function intsOf(tensors: Stored, name: string): Int32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Int32Array)) {
    throw new LockstepError("E_WEIGHTS", `Cannot verify: ${name} must be int32`);
  }
  return data;
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new LockstepError(
      "E_DATA",
      `Cannot verify: ${path} cannot be read; a reference directory is required`,
      {
        cause,
      },
    );
  }
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [{ path: key, message }] = parsed.error.issues;
  const what = key.length === 0 ? path : `"${key.join(".")}" of ${path}`;
  throw new LockstepError("E_DATA", `Cannot verify: ${what} is wrong: ${message}`);
}

/** Undefined for a text that is no JSON, which no schema takes. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
