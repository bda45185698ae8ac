import { readManifest } from "../shared/checkpoint/manifest.ts";
import { modelConfig } from "../shared/config/model_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { RunDir } from "../shared/run_dir.ts";
import { openSavedModel } from "../shared/saved_model.ts";
import type { CheckpointChoice } from "../shared/saved_run.ts";
import { Arena } from "./arena.ts";
import { chooseEngine } from "./engines/choose_engine.ts";
import { overrideEngine } from "./engines/decide_engine.ts";
import { openEngine } from "./engines/open_engine.ts";
import { loadKernels } from "./kernels/kernels.ts";
import { LoadedCheckpoint } from "./loaded_checkpoint.ts";
import { loadModel, type Model } from "./model/load_model.ts";
import { loadWeights } from "./model/load_weights.ts";

/** Which checkpoint of a run, and what computes with it. */
export interface LoadOptions {
  /** Default: the step that the path names, or "latest". */
  readonly checkpoint?: CheckpointChoice;
  /** Default: the run's own. */
  readonly engine?: RunConfig["engine"];
  /** Default: the run's own. */
  readonly device?: RunConfig["device"];
  /** Folder of the prepared text, if it is not where it was in training. */
  readonly dataDir?: string;
}

/**
 * Opens a checkpoint to compute with: the newest of the run in the folder `path`, or the one of a folder
 * `checkpoints/step-…` in it. Every byte is verified; a damaged newest one is passed over, and `warnings` says so. Or
 * weights from elsewhere, a folder of transformers or nanoGPT or a name such as gpt2, which have taken 0 steps.
 *
 * Throws E_OUT_DIR if there is no run, E_NO_CHECKPOINT or E_CHECKPOINT_CORRUPT if it has none to load, E_CONFIG_HASH if
 * the run's own model has changed since, E_ENGINE for an engine that is not there.
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  const { run, config: saved, weights, openPrompts } = await openSavedModel(path, options.checkpoint);
  const config = {
    ...saved,
    ...overrideEngine(saved, options),
    data_dir: options.dataDir ?? saved.data_dir,
  };
  const model = await loadModel(modelConfig(config), config.model);
  if (run !== null && config.model !== null) await checkModule(run.dir, model);
  const arena = Arena.create({ parameters: model.size });
  const parameters = arena.region("parameters");
  await loadWeights(model, parameters.view, weights);
  const memory = { kernels: await loadKernels(arena), parameters, slice: null, version: () => 0 };
  const { name, device } = await chooseEngine(config);
  const engine = await openEngine(name, { model, memory, device, threads: config.threads });
  return new LoadedCheckpoint({
    step: run?.checkpoint.step ?? 0,
    valLoss: run?.checkpoint.state.val_loss ?? null,
    warnings: run?.checkpoint.warnings ?? [],
    config,
    model,
    engine,
    parameters: parameters.view,
  }, () => openPrompts(config));
}

/** Weights mean nothing to another model than the one that was trained. */
async function checkModule({ path, manifest }: RunDir, model: Model): Promise<void> {
  const { numerics: { model_module } } = await readManifest(manifest);
  if (model_module === null || model_module.sha256 === model.source) return;
  throw new LockstepError(
    "E_CONFIG_HASH",
    `Cannot load ${path} with its model ${model_module.path} as that must have the SHA-256 of the training, ` +
      `${model_module.sha256}: it has ${model.source}, put the file back as it was`,
  );
}
