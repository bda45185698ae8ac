/**
 * `compute_probe.ts ENGINE DEVICE`: has an engine compute one step of a tiny model, and prints as a line of JSON whether the
 * result is right. A process of its own, as a native library may crash it.
 */
import type { ModelConfig } from "../../shared/config/model_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { Arena } from "../arena.ts";
import { loadKernels } from "../kernels/kernels.ts";
import { initialize } from "../model/init.ts";
import { loadModel, type Model } from "../model/load_model.ts";
import type { Device, Engine, EngineOptions } from "./engine.ts";
import { isEnginePath, openEngine } from "./open_engine.ts";
import { ReferenceEngine } from "./reference.ts";

/** The smallest model that has every kind of product: 2 heads, 8 channels. */
const TINY: ModelConfig = {
  n_layer: 1,
  n_head: 2,
  n_embd: 8,
  block_size: 4,
  vocab_size: 8,
  bias: false,
  dropout: 0,
  activation: "gelu",
  attention: "causal",
  reflex: null,
};

const BATCH = {
  batchSize: 2,
  length: 4,
  tokens: Int32Array.of(1, 2, 3, 4, 7, 6, 5, 0),
  targets: Int32Array.of(2, 3, 4, 5, 6, 5, 0, 1),
};

/** Largest difference of a logit that float32 explains, with products in TF32. */
const ALLOWED = 1e-3;

/** Whether an engine works. */
export type Found = { works: true } | { works: false; why: string };

/** Computes the tiny model's loss and gradient on an engine, and holds them against the plain JavaScript one. */
async function compute(name: string, device: Device): Promise<Found> {
  const model = await loadModel(TINY, null);
  const found = await stepOf(model, (options) => openEngine(name, { ...options, device }));
  // A user's own engine names its device as it likes.
  if (!isEnginePath(name) && found.device !== device) {
    return { works: false, why: `it computes on the ${found.device}` };
  }
  const expected = await stepOf(model, (options) => Promise.resolve(new ReferenceEngine(options)));
  const differences = expected.numbers.map((x, i) => Math.abs(x - found.numbers[i]));
  const worst = differences.reduce((a, b) => b <= a ? a : b, 0); // NaN wins
  return worst <= ALLOWED ? { works: true } : { works: false, why: `its results are wrong by ${worst}` };
}

/** Loss and gradient of one step from the same start. */
async function stepOf(model: Model, open: (options: EngineOptions) => Promise<Engine>) {
  const n = model.size;
  const arena = Arena.create({ parameters: n, gradient: n, slice: n });
  const [parameters, gradient, slice] = (["parameters", "gradient", "slice"] as const).map((name) =>
    arena.region(name)
  );
  initialize(model, parameters.view, 1);
  await using engine = await open({
    model,
    memory: { kernels: await loadKernels(arena), parameters, slice },
    threads: 1,
  });
  const trainer = await engine.trainer(BATCH);
  const loss = await trainer.gradients(BATCH, gradient, { seed: 1, step: 0, shard: 0 });
  return { device: engine.device, numbers: [loss, ...gradient.view] };
}

/** Whether a word of a probe's command line names a device. */
export function isDevice(word: string): word is Device {
  return word === "cpu" || word === "cuda" || word === "webgpu";
}

/** Whether an engine computes the tiny model as it should. Never rejects for what an engine does. */
export async function tryEngine(engine: string, device: Device): Promise<Found> {
  try {
    return await compute(engine, device);
  } catch (error) {
    return { works: false, why: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof LockstepError) {
    return error.message.replace(/^Cannot (use|compute)\b.*? engine \S+( on \S+)?( as |: )/, "");
  }
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

if (import.meta.main) {
  const [engine = "", device = ""] = Deno.args;
  if (!isDevice(device)) throw new Error(`Cannot probe ${device}: it is no device`);
  console.log(JSON.stringify(await tryEngine(engine, device)));
  Deno.exit(0); // whatever a library still has open
}
