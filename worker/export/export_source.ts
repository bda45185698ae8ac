import { type ModelConfig, modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { describePrompts, type PromptsDescription } from "../../shared/prompts_description.ts";
import type { CheckpointChoice } from "../../shared/saved_run.ts";
import { openSavedModel } from "../../shared/saved_model.ts";
import { loadModel, type Model } from "../model/load_model.ts";
import { loadWeights } from "../model/load_weights.ts";

/** A trained model that is to be written in another format. */
export interface ExportSource {
  /** As the person named it. */
  readonly path: string;
  readonly config: RunConfig;
  readonly model: Model;
  /** Flat, in the model's order. */
  readonly parameters: Float32Array<ArrayBuffer>;
  /** What the tokens mean; null where nothing says so. Throws E_DATA where the tokenizer of a run is not there. */
  describeTokens(): Promise<PromptsDescription | null>;
  /** Sentences about checkpoints that were passed over. */
  readonly warnings: readonly string[];
}

/** Which checkpoint of a run, and where its text is. */
export interface SourceOptions {
  /** Default: the newest, or the one that the path names. */
  readonly checkpoint?: CheckpointChoice;
  /** Folder of the prepared text, if it is not where it was in training. */
  readonly dataDir?: string;
}

/** Reads the model that `path` means; see `openSavedModel`, whose errors it throws. */
export async function openExportSource(
  path: string,
  { checkpoint, dataDir }: SourceOptions = {},
): Promise<ExportSource> {
  const saved = await openSavedModel(path, checkpoint);
  const { config } = saved;
  const model = await loadModel(modelConfig(config), config.model);
  const parameters = new Float32Array(model.size);
  await loadWeights(model, parameters, saved.weights);
  return {
    path,
    config,
    model,
    parameters,
    describeTokens: () =>
      dataDir === undefined ? saved.describeTokens() : describePrompts({ ...config, data_dir: dataDir }),
    warnings: saved.run?.checkpoint.warnings ?? [],
  };
}

/** A parameter by its name, in place; undefined for one that the model has not. */
export function parameterOf(
  { model, parameters }: Pick<ExportSource, "model" | "parameters">,
  name: string,
): Float32Array<ArrayBuffer> | undefined {
  const found = model.parameters.find((parameter) => parameter.name === name);
  return found && parameters.subarray(found.offset, found.offset + found.size);
}

/** Throws E_MODEL, naming the variant, unless the model is the plain GPT that `format` can hold. */
export function refuseVariants({ path, config }: ExportSource, format: string): void {
  const variant = config.model !== null
    ? `its own model ${config.model}`
    : describeVariant(modelConfig(config));
  if (variant === null) return;
  throw new LockstepError(
    "E_MODEL",
    `Cannot export ${path} as ${format} as that format holds plain causal attention only: the model has ${variant}, ` +
      `take --format=onnx, web or tfjs`,
  );
}

function describeVariant({ attention, reflex }: ModelConfig): string | null {
  if (attention === "router") return "attention = router";
  if (reflex === null) return null;
  return `attention = reflex (combine = ${reflex.combine}, source = ${reflex.source})`;
}
