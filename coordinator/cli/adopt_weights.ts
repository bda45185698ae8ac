import { flattenValues } from "../../shared/config/key_values.ts";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { questionsOf } from "../../shared/data/datasets/open_dataset.ts";
import { LockstepError } from "../../shared/errors.ts";
import { findOnHub } from "../../shared/hub.ts";
import type { OnProgress } from "../../shared/progress.ts";
import { holdsWeights, openWeights } from "../../shared/weights.ts";

/** Words of `init_from` that name no weights. */
const NO_WEIGHTS: readonly string[] = ["scratch", "resume", "auto"];

/**
 * The configuration of a run that starts from the weights that `init_from` names: their model, whatever a preset says, with
 * the path of those that were named as on Hugging Face; questions are read with their tokenizer. Keys that the command line sets (`given`) must agree with the weights,
 * but for `vocab_size`, which resizes the embedding, and a smaller `block_size`, which shortens the context.
 *
 * Throws E_CONFIG where they do not, E_WEIGHTS for weights that are not there or of a model that cannot be computed.
 */
export async function adoptWeights(
  config: RunConfig,
  { given, onProgress }: { given: ReadonlySet<string>; onProgress?: OnProgress },
): Promise<{ config: RunConfig; notes: readonly string[] }> {
  if (NO_WEIGHTS.includes(config.init_from)) return { config, notes: [] };
  const path = await weightsAt(config.init_from, onProgress);
  const { model, data_dir } = await openWeights(path);
  const reads = questionsOf(config.dataset) !== undefined && config.data_dir === null;
  const started = { ...config, init_from: path, ...(reads && { data_dir }) };
  if (model === null || config.model !== null) return { config: started, notes: [] };
  const current = flattenValues(config, "the configuration");
  const differing = [...flattenValues(model, path)]
    .map(([key, theirs]) => ({ key, theirs, ours: current.get(key) }))
    .filter(({ theirs, ours }) => JSON.stringify(theirs) !== JSON.stringify(ours));
  const kept = differing.filter(({ key }) => given.has(key));
  for (const { key, ours, theirs } of kept) {
    if (key === "vocab_size" || (key === "block_size" && Number(ours) < Number(theirs))) continue;
    throw new LockstepError(
      "E_CONFIG",
      `Cannot start from ${path} with ${key} = ${text(ours)} as its weights are of a model with ${
        text(theirs)
      }: ` +
        `leave out --${key}`,
    );
  }
  const asked = Object.fromEntries(kept.map(({ key, ours }) => [key, ours]));
  const adopted = parseRunConfig({ ...started, ...model, ...asked }, { source: path });
  const taken = differing.filter(({ key }) => !given.has(key)).map(({ key, theirs }) =>
    `${key} = ${text(theirs)}`
  );
  const notes = taken.length === 0 ? [] : [`as in ${path}: ${taken.join(", ")}`];
  return { config: adopted, notes };
}

async function weightsAt(init_from: string, onProgress?: OnProgress): Promise<string> {
  return await holdsWeights(init_from) ? init_from : await findOnHub(init_from, onProgress) ?? init_from;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
