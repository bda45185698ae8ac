import { join } from "node:path";
import type { FoundCheckpoint } from "./checkpoint/store.ts";
import { parseRunConfig } from "./config/parse_run_config.ts";
import type { RunConfig } from "./config/run_config.ts";
import { openPrompts } from "./data/prompts/open_prompts.ts";
import type { Prompts } from "./data/prompts/prompts.ts";
import { LockstepError } from "./errors.ts";
import { findOnHub } from "./hub.ts";
import type { OnProgress } from "./progress.ts";
import {
  describePrompts,
  describeWeights,
  openDescribedPrompts,
  type PromptsDescription,
} from "./prompts_description.ts";
import type { RunDir } from "./run_dir.ts";
import { type CheckpointChoice, isSavedRun, openSavedRun, readSavedConfig } from "./saved_run.ts";
import { holdsWeights, openWeights, type Weights } from "./weights.ts";

/** Something to compute with: a run's checkpoint, or weights from elsewhere. */
export interface SavedModel {
  /** Null for weights that are no run's. */
  readonly run: { readonly dir: RunDir; readonly checkpoint: FoundCheckpoint } | null;
  /** As run, or as the config.json beside the weights describes their model. */
  readonly config: RunConfig;
  /** What `loadWeights` takes. */
  readonly weights: string;
  /** How prompts are read; `config` may differ from the one above in `data_dir`. */
  openPrompts(config: RunConfig): Promise<Prompts>;
  /** What the tokens mean; null where nothing says so. Throws E_DATA where the tokenizer of a run is not there. */
  describeTokens(): Promise<PromptsDescription | null>;
}

/**
 * Opens what `path` means: a run's folder or one of its checkpoints, as `openSavedRun` does; weights with a config.json
 * beside them; or a model of Hugging Face by its name, such as gpt2. Throws as `openSavedRun`, `openWeights` and `findOnHub`.
 */
export async function openSavedModel(
  path: string,
  which?: CheckpointChoice,
  onProgress?: OnProgress,
): Promise<SavedModel> {
  const found = await findForeign(path, onProgress);
  if (found !== null) return await ofWeights(await openWeights(found), which);
  const { dir, config, checkpoint } = await openSavedRun(path, which);
  return {
    run: { dir, checkpoint },
    config,
    weights: join(checkpoint.path, "model.safetensors"),
    openPrompts,
    describeTokens: () => describePrompts(config),
  };
}

/** The configuration of what {@link openSavedModel} opens, without reading its weights. Throws as it does. */
export async function readModelConfig(path: string, onProgress?: OnProgress): Promise<RunConfig> {
  const found = await findForeign(path, onProgress);
  return found === null ? await readSavedConfig(path) : (await ofWeights(await openWeights(found))).config;
}

/** Where weights lie that are no run's; null for what can only be a run. */
async function findForeign(path: string, onProgress?: OnProgress): Promise<string | null> {
  if (await isSavedRun(path)) return null;
  return await holdsWeights(path) ? path : await findOnHub(path, onProgress);
}

async function ofWeights(
  { path, model, folder, data_dir }: Weights,
  which?: CheckpointChoice,
): Promise<SavedModel> {
  if (model === null || folder === null) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot compute with ${path} as a config.json beside the weights must say what model they are of: there is none`,
    );
  }
  if (which !== undefined && which !== "latest") {
    throw new LockstepError(
      "E_USAGE",
      `Cannot take the checkpoint ${which} of ${path} as that holds weights and is no run: leave --checkpoint out`,
    );
  }
  const description = await describeWeights(folder, model.vocab_size);
  const { dataset = "text", sort, probe } = description ?? {};
  const data = { dataset, data_dir, ...(sort && { sort }), ...(probe && { probe }) };
  return {
    run: null,
    config: parseRunConfig({ ...model, ...data, init_from: path }, { source: join(folder, "config.json") }),
    weights: path,
    openPrompts: (config) =>
      config.data_dir === data_dir
        ? openDescribedPrompts(description, model.vocab_size)
        : openPrompts(config),
    describeTokens: () => Promise.resolve(description),
  };
}
