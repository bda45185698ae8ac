import { modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { toToml } from "../../shared/config/toml.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Accumulator } from "../../worker/collective/accumulator.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { sliceRows } from "../../worker/engines/slices.ts";
import { flopsPerToken } from "../../worker/flops.ts";
import { loadModel } from "../../worker/model/load_model.ts";
import { dealShards } from "../plan.ts";
import { chooseWorkers } from "./choose_workers.ts";
import { askedEngine } from "./open_run.ts";
import { resolveData } from "./train_run.ts";

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
  const [shards] = dealShards(V, count);
  const buffers = Accumulator.bufferCount(new ReductionTree(V), shards);
  const sliced = sliceRows({ batchSize: batch_size, length: block_size }) < batch_size ? 1 : 0;
  const gradients = buffers + sliced + (count > 1 ? 1 : 0);
  const mib = (numbers: number) => `${(4 * numbers / 2 ** 20).toFixed(1)} MiB`;
  return [
    toToml(config).trimEnd(),
    "",
    `# engine ${engine.name} on ${engine.device}: ${engine.reason}`,
    ...(engine.hardware === null ? [] : [`# ${engine.device}: ${engine.hardware}`]),
    `# workers: ${count}, threads of each: ${config.threads} (${reason})`,
    `# ${model.size.toLocaleString("en-US")} parameters`,
    `# memory a worker: parameters, moments and reduced gradient ${
      mib(4 * model.size)
    }, gradients of shards ${mib(gradients * model.size)}, activations besides`,
    `# a step: ${tokens.toLocaleString("en-US")} tokens, ${(flops / 1e9).toPrecision(3)} GFLOP`,
  ].join("\n");
}
