import { basename, dirname, join, resolve } from "node:path";
import { readManifest } from "../shared/checkpoint/manifest.ts";
import { CheckpointStore } from "../shared/checkpoint/store.ts";
import { modelConfig } from "../shared/config/model_config.ts";
import { parseRunConfig } from "../shared/config/parse_run_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { readToml } from "../shared/config/toml.ts";
import { openPrompts } from "../shared/data/prompts/open_prompts.ts";
import { LockstepError } from "../shared/errors.ts";
import { type RunDir, runDirAt } from "../shared/run_dir.ts";
import { Arena } from "./arena.ts";
import { chooseEngine } from "./engines/choose_engine.ts";
import { openEngine } from "./engines/open_engine.ts";
import { loadKernels } from "./kernels/kernels.ts";
import { loadModel, type Model } from "./model/load_model.ts";
import { loadWeights } from "./model/load_weights.ts";
import { LoadedCheckpoint } from "./loaded_checkpoint.ts";

/** Which checkpoint of a run, and what computes with it. */
export interface LoadOptions {
  /** The newest, the one with the lowest validation loss, or that of a step. Default "latest". */
  readonly checkpoint?: "latest" | "best" | number;
  /** Default: the run's own. */
  readonly engine?: RunConfig["engine"];
  /** Default: the run's own. */
  readonly device?: RunConfig["device"];
  /** Folder of the prepared text, if it is not where it was in training. */
  readonly dataDir?: string;
}

/**
 * Opens a checkpoint to compute with: the newest of the run in the folder `path`, or the one of a folder
 * `checkpoints/step-…` in it. Every byte is verified; a damaged newest one is passed over, and `warnings` says so.
 *
 * Throws E_OUT_DIR if there is no run, E_NO_CHECKPOINT or E_CHECKPOINT_CORRUPT if it has none to load, E_CONFIG_HASH if
 * the run's own model has changed since, E_ENGINE for an engine that is not there.
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  const { run, step } = locate(path);
  const saved = await readConfig(run);
  const config = {
    ...saved,
    engine: options.engine ?? saved.engine,
    device: options.device ?? saved.device,
    data_dir: options.dataDir ?? saved.data_dir,
  };
  const store = new CheckpointStore(run.checkpoints);
  const found = await store.load(options.checkpoint ?? step ?? "latest");
  const model = await loadModel(modelConfig(config), config.model);
  if (config.model !== null) await checkModule(run, model);
  const arena = Arena.create({ parameters: model.size });
  const parameters = arena.region("parameters");
  await loadWeights(model, parameters.view, join(found.path, "model.safetensors"));
  const memory = { kernels: await loadKernels(arena), parameters, slice: null };
  const engine = await openEngine(chooseEngine(config).name, { model, memory, threads: config.threads });
  return new LoadedCheckpoint({
    step: found.step,
    valLoss: found.state.val_loss,
    warnings: found.warnings,
    config,
    model,
    engine,
    parameters: parameters.view,
  }, () => openPrompts(config));
}

/** The run's folder, and the step if `path` is the folder of one of its checkpoints. */
function locate(path: string): { run: RunDir; step?: number } {
  const [, digits] = /^step-(\d+)$/.exec(basename(resolve(path))) ?? [];
  const above = dirname(resolve(path));
  if (digits === undefined || basename(above) !== "checkpoints") return { run: runDirAt(path) };
  return { run: runDirAt(dirname(above)), step: Number(digits) };
}

async function readConfig({ path, config }: RunDir): Promise<RunConfig> {
  const text = await Deno.readTextFile(config).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory)) throw cause;
    throw new LockstepError(
      "E_OUT_DIR",
      `Cannot open the run ${path} as it must be a folder with a config.toml, such as out/sort-demo: there is none`,
      { cause },
    );
  });
  return parseRunConfig(readToml(text, { source: config }), { source: config });
}

/** Weights mean nothing to another model than the one that was trained. */
async function checkModule(run: RunDir, model: Model): Promise<void> {
  const { numerics: { model_module } } = await readManifest(run.manifest);
  if (model_module === null || model_module.sha256 === model.source) return;
  throw new LockstepError(
    "E_CONFIG_HASH",
    `Cannot load ${run.path} with its model ${model_module.path} as that must have the SHA-256 of the training, ` +
      `${model_module.sha256}: it has ${model.source}, put the file back as it was`,
  );
}
