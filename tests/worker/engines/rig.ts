import type { ModelConfig } from "../../../shared/config/model_config.ts";
import type { Batch } from "../../../shared/data/datasets/dataset.ts";
import { CounterRandom } from "../../../shared/random.ts";
import { Arena, type Region } from "../../../worker/arena.ts";
import type { BatchShape, DropoutKey, Engine, EngineOptions } from "../../../worker/engines/engine.ts";
import { loadKernels } from "../../../worker/kernels/kernels.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { fillMixed } from "../tiny_model.ts";

/** An engine on memory of its own, with mixed weights. */
export interface Rig {
  readonly engine: Engine;
  readonly model: Model;
  readonly parameters: Region;
  readonly gradient: Region;
}

export interface RigOptions {
  readonly model: Model;
  readonly open: (options: EngineOptions) => Engine | Promise<Engine>;
  readonly threads?: number;
}

/** Opens an engine, hands it to `use` and disposes of it. */
export async function withRig<T>(
  { model, open, threads = 1 }: RigOptions,
  use: (rig: Rig) => Promise<T>,
): Promise<T> {
  const n = model.size;
  const arena = Arena.create({ parameters: n, gradient: n, slice: n });
  const [parameters, gradient, slice] = [
    arena.region("parameters"),
    arena.region("gradient"),
    arena.region("slice"),
  ];
  fillMixed(parameters.view);
  const memory = { kernels: await loadKernels(arena), parameters, slice };
  await using engine = await open({ model, memory, threads });
  return await use({ engine, model, parameters, gradient });
}

export const KEY: DropoutKey = { seed: 7, step: 3, shard: 1 };

/** Random tokens, and random targets of which every fourth or so is left out. */
export function randomBatch({ vocab_size }: ModelConfig, { batchSize, length }: BatchShape, seed = 1): Batch {
  const random = CounterRandom.fromSeed(seed, "batch");
  const size = batchSize * length;
  const draw = (use: string) => {
    const part = random.derive(use);
    return Int32Array.from({ length: size }, (_, i) => part.below(vocab_size, i));
  };
  const ignored = random.derive("ignored");
  const targets = draw("targets").map((target, i) => ignored.below(4, i) === 0 ? -1 : target);
  return { batchSize, length, tokens: draw("tokens"), targets };
}

/** One step's loss and a copy of its gradient. */
export interface Step {
  readonly loss: number;
  readonly gradient: Float32Array;
}

/** Computes one step with a new trainer. */
export async function stepOf(rig: Rig, batch: Batch, key: DropoutKey = KEY): Promise<Step> {
  const trainer = await rig.engine.trainer({ batchSize: batch.batchSize, length: batch.length });
  const loss = await trainer.gradients(batch, rig.gradient, key);
  return { loss, gradient: rig.gradient.view.slice() };
}
