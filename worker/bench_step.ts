import type { ModelConfig } from "../shared/config/model_config.ts";
import { createBatch } from "../shared/data/datasets/dataset.ts";
import { CounterRandom } from "../shared/random.ts";
import { stepScalars } from "../shared/schedule.ts";
import { Arena } from "./arena.ts";
import type { Device } from "./engines/engine.ts";
import { openEngine } from "./engines/open_engine.ts";
import { sliceRows } from "./engines/slices.ts";
import { flopsPerToken } from "./flops.ts";
import { loadKernels } from "./kernels/kernels.ts";
import { initialize } from "./model/init.ts";
import { loadModel } from "./model/load_model.ts";
import { AdamW } from "./optimizer/adamw.ts";
import { clipScale } from "./optimizer/clip.ts";
import { regionNorm } from "./optimizer/norm.ts";

export interface StepBenchOptions {
  readonly config: ModelConfig;
  readonly batchSize: number;
  readonly length: number;
  readonly engine: string;
  /** Left out, the engine takes what there is. */
  readonly device?: Device;
  readonly threads: number;
  /** As `EngineOptions.profile`. */
  readonly profile?: string;
}

/** A training step on made-up tokens, ready to be timed. */
export interface StepBench extends AsyncDisposable {
  /** Forward, backward, clipping and AdamW; resolves to milliseconds. */
  step(): Promise<number>;
  readonly tokens: number;
  readonly flops: number;
}

const OPTIMIZER = {
  learning_rate: 1e-4,
  min_lr: 1e-5,
  warmup_iters: 0,
  lr_decay_iters: null,
  max_iters: 1000,
  decay_lr: false,
  weight_decay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
};

export async function prepareStepBench(options: StepBenchOptions): Promise<StepBench> {
  const { config, batchSize, length, device, threads, profile } = options;
  const model = await loadModel(config, null);
  const n = model.size;
  const sliced = sliceRows({ batchSize, length }) < batchSize;
  const arena = Arena.create({ parameters: n, gradient: n, m: n, v: n, slice: sliced ? n : 0 });
  arena.adviseHugePages();
  const kernels = await loadKernels(arena);
  const [parameters, gradient, m, v] = (["parameters", "gradient", "m", "v"] as const).map((r) =>
    arena.region(r)
  );
  initialize(model, parameters.view, 1);
  const memory = { kernels, parameters, slice: sliced ? arena.region("slice") : null };
  const engine = await openEngine(options.engine, { model, memory, device, threads, profile });
  const trainer = await engine.trainer({ batchSize, length });
  const optimizer = new AdamW(kernels, {
    regions: { parameters, gradient, m, v },
    tensors: model.parameters,
    config: OPTIMIZER,
  });
  const batch = createBatch(batchSize, length);
  let steps = 0;
  const random = CounterRandom.fromSeed(1, "bench");
  const fill = () => {
    for (let i = 0; i < batch.tokens.length; i++) {
      batch.tokens[i] = random.below(config.vocab_size, steps * batch.tokens.length + i);
      batch.targets[i] = (batch.tokens[i] * 7 + 3) % config.vocab_size;
    }
  };
  return {
    tokens: batchSize * length,
    flops: flopsPerToken(config, model.parameters, length) * batchSize * length,
    async step() {
      fill();
      const start = performance.now();
      await trainer.gradients(batch, gradient, { seed: 1, step: steps, shard: 0 });
      optimizer.apply(stepScalars(steps++, OPTIMIZER), clipScale(regionNorm(kernels, gradient), 1));
      return performance.now() - start;
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}
