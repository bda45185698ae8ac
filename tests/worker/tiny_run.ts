import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createManifest, writeManifest } from "../../shared/checkpoint/manifest.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { modelConfig } from "../../shared/config/model_config.ts";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import { toToml } from "../../shared/config/toml.ts";
import { prepareText } from "../../shared/data/prepare.ts";
import { sha256 } from "../../shared/hash.ts";
import { createRunDir } from "../../shared/run_dir.ts";
import { initialize } from "../../worker/model/init.ts";
import { loadModel, type Model } from "../../worker/model/load_model.ts";

/** The model of {@link writeTinyRun} whose weights a test can choose: one table (V, V) of logits. */
export const BIGRAM = fileURLToPath(new URL("./bigram_model.ts", import.meta.url));

/** What {@link writeTinyRun} writes. */
export interface TinyRun {
  /** Keys of the configuration, beside those of a tiny model. */
  readonly config: Record<string, unknown>;
  /** The parameters at a step, flat; left out, they are the start's from the seed. */
  readonly weights?: (step: number, model: Model) => Float32Array;
  /** Steps that have a checkpoint; the first of them is the best. Default: step 3. */
  readonly steps?: readonly number[];
}

const TINY = { n_layer: 2, n_head: 2, n_embd: 8, block_size: 8, engine: "reference", threads: 1 };

/** Writes a run as `train` leaves it, without training it. Resolves to its folder. */
export async function writeTinyRun(
  path: string,
  { config: given, weights, steps = [3] }: TinyRun,
): Promise<string> {
  const config = parseRunConfig({ ...TINY, ...given }, { source: "test" });
  const model = await loadModel(modelConfig(config), config.model);
  const run = await createRunDir({ out_dir: path, preset: "tiny" });
  await Deno.writeTextFile(run.config, toToml(config));
  const manifest = createManifest({
    run_id: "tiny",
    created: "2026-01-01T00:00:00.000Z",
    versions: {},
    git_revision: null,
    numerics: {
      engine: "reference",
      device: "cpu",
      threads: 1,
      graph: null,
      slice_rows: null,
      engine_module: null,
      model_module: config.model === null ? null : { path: config.model, sha256: model.source },
      data: {},
      config: {},
    },
  });
  await writeManifest(run.manifest, manifest);
  const store = new CheckpointStore(run.checkpoints, { keep: steps.length });
  for (const step of steps) {
    await using writer = await store.begin(step);
    const tensors = model.parameters.map(({ name, shape }) => ({ name, dtype: "F32" as const, shape }));
    const file = await writer.file("model.safetensors", tensors);
    const values = weights?.(step, model) ?? start(model, config.seed);
    await file.write(new Uint8Array(values.slice().buffer));
    await writer.publish({
      state: {
        state_hash: sha256(`${step}`),
        config_hash: manifest.config_hash,
        val_loss: step,
        best_val_loss: steps[0],
        data_position: { step },
      },
      best: step === steps[0],
    });
  }
  return path;
}

/** Prepares `text` in a folder and resolves to the keys of a run on it. */
export async function writeTinyText(dir: string, text: string, tokenizer: "char" | "byte" = "char") {
  const data = join(dir, "text.txt");
  const data_dir = join(dir, "data");
  await Deno.writeTextFile(data, text);
  const { meta } = await prepareText({ data, data_dir, tokenizer, text_field: "text" });
  return { dataset: "text", data_dir, tokenizer, vocab_size: meta.vocab_size };
}

/** Weights of {@link BIGRAM} after which token `next(t)` follows token t, far likelier than any other. */
export function chain(vocabSize: number, next: (token: number) => number): Float32Array {
  const table = new Float32Array(vocabSize * vocabSize);
  for (let token = 0; token < vocabSize; token++) table[token * vocabSize + next(token)] = 20;
  return table;
}

function start(model: Model, seed: number): Float32Array {
  const parameters = new Float32Array(model.size);
  initialize(model, parameters, seed);
  return parameters;
}
