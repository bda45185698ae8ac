import { modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { toToml } from "../../shared/config/toml.ts";
import { compileGraph } from "../../worker/compiler/compile.ts";
import { peakBytes } from "../../worker/compiler/peak_memory.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { sliceRows } from "../../worker/engines/slices.ts";
import { flopsPerToken } from "../../worker/flops.ts";
import { loadModel, type Model } from "../../worker/model/load_model.ts";
import { chooseWorkers } from "./choose_workers.ts";
import { askedEngine } from "./open_run.ts";
import { resolveData } from "./train_run.ts";
import { workerMemory } from "./worker_memory.ts";

/** What `train --dry-run` prints: the resolved configuration and what a step costs. Nothing is started. */
export async function describeDryRun(
  given: RunConfig,
  { preset }: { preset: string },
): Promise<string> {
  const config = await resolveData(given);
  const model = await loadModel(modelConfig(config), config.model);
  const engine = await chooseEngine(await askedEngine(config, { preset }));
  const { count, reason } = chooseWorkers(config, engine);
  const { batch_size, block_size, gradient_accumulation_steps: V } = config;
  const tokens = V * batch_size * block_size;
  const flops = flopsPerToken(model.config, model.parameters, block_size) * tokens;
  const memory = workerMemory(model, { config, workers: count });
  const activations = engine.name === "onnx"
    ? mib(await activationBytes(model, config))
    : `about ${mib(memory.activations)}`;
  return [
    toToml(config).trimEnd(),
    "",
    `# engine ${engine.name} on ${engine.device}: ${engine.reason}`,
    ...(engine.hardware === null ? [] : [`# ${engine.device}: ${engine.hardware}`]),
    `# workers: ${count}, threads of each: ${config.threads} (${reason})`,
    `# ${model.size.toLocaleString("en-US")} parameters`,
    `# memory a worker: parameters, moments and reduced gradient ${mib(memory.state)}, gradients of shards ${
      mib(memory.gradients)
    }, activations ${activations}`,
    `# a step: ${tokens.toLocaleString("en-US")} tokens, ${(flops / 1e9).toPrecision(3)} GFLOP`,
  ].join("\n");
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** What the compiled step of one slice of a micro-batch holds at its peak. */
async function activationBytes(model: Model, { batch_size, block_size }: RunConfig): Promise<number> {
  const shape = { batchSize: batch_size, length: block_size };
  const slice = { ...shape, batchSize: sliceRows(shape) };
  const { graph } = await compileGraph({ kind: "train", model, shape: slice });
  return peakBytes(graph);
}
