import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { readHeader, readTensors, type Tensor } from "./checkpoint/safetensors.ts";
import { CheckpointStore } from "./checkpoint/store.ts";
import { modelKeys } from "./config/keys/model.ts";
import type { RunConfig } from "./config/run_config.ts";
import { weightsTokenizer } from "./data/tokenizers/weights_tokenizer.ts";
import { LockstepError } from "./errors.ts";
import { isTransposed, type ModelKeys, parameterNamed, readHfConfig } from "./hf_gpt2.ts";
import { refusePickle } from "./pickle.ts";
import { readSavedConfig } from "./saved_run.ts";
import { transpose } from "./transpose.ts";

/** Keys of a run's configuration that say what the tokens mean. */
export type DataKeys = Partial<Pick<RunConfig, "dataset" | "tokenizer" | "sort" | "probe">>;

/** Weights on disk, and what stands beside them about the model that they are of. */
export interface Weights {
  /** As it was given. */
  readonly path: string;
  /** Safetensors files, which share the tensors among them. */
  readonly files: readonly string[];
  /** Null where nothing beside the weights describes their model. */
  readonly model: (ModelKeys & Partial<Pick<RunConfig, "reflex">>) | null;
  /** The folder that holds config.json and perhaps a tokenizer; null where there is no config.json. */
  readonly folder: string | null;
  /** What a `data_dir` must be for text to be read in the model's tokens; null where nothing there says so. */
  readonly data_dir: string | null;
}

const FILE = "model.safetensors";
const INDEX = `${FILE}.index.json`;
const CONFIG = "config.json";

/**
 * Finds the weights that `path` means: a safetensors file, a folder with `model.safetensors` or with the shards of
 * `model.safetensors.index.json`, or a run's folder, of which the newest checkpoint is taken, or with
 * `@STEP` behind it that of a step. A `config.json` of
 * transformers or nanoGPT beside them, or the run's configuration, describes the model.
 *
 * Throws E_PICKLE, E_WEIGHTS if there are none, or none of a model that can be computed here.
 */
export async function openWeights(path: string): Promise<Weights> {
  refusePickle(path);
  const kind = await kindOf(path);
  if (kind === "file") return await describe(path, { files: [path], folder: dirname(path) });
  if (kind === "folder" && await kindOf(join(path, "checkpoints")) === "folder") {
    return await ofRun(path, { path, which: "latest" });
  }
  const [, run, step] = /^(.+)@(\d+)$/.exec(path) ?? [];
  if (kind === undefined && run !== undefined && await kindOf(join(run, "checkpoints")) === "folder") {
    return await ofRun(run, { path, which: Number(step) });
  }
  if (kind === "folder" && await kindOf(join(path, FILE)) === "file") {
    return await describe(path, { files: [join(path, FILE)], folder: path });
  }
  if (kind === "folder" && await kindOf(join(path, INDEX)) === "file") {
    return await describe(path, { files: await shardsOf(path), folder: path });
  }
  throw new LockstepError(
    "E_WEIGHTS",
    `Cannot load weights from ${path}: it must be a safetensors file, a folder with ${FILE}, a run's folder, or RUN@STEP`,
  );
}

/** Whether `path` is a safetensors file or a folder of weights. */
export async function holdsWeights(path: string): Promise<boolean> {
  const kind = await kindOf(path);
  if (kind === "file") return path.endsWith(".safetensors");
  if (kind === undefined) return false;
  const found = await Promise.all([FILE, INDEX].map((name) => kindOf(join(path, name))));
  return found.includes("file");
}

async function ofRun(
  run: string,
  { path, which }: { path: string; which: "latest" | number },
): Promise<Weights> {
  const found = await new CheckpointStore(join(run, "checkpoints")).load(which);
  const config = await readSavedConfig(run);
  const { n_layer, n_head, n_embd, block_size, vocab_size, bias, activation, attention, reflex } = config;
  const numbers = { n_layer, n_head, n_embd, block_size, vocab_size, bias };
  const model = config.model === null ? { ...numbers, activation, attention, reflex } : null;
  return { path, files: [join(found.path, FILE)], model, folder: null, data_dir: config.data_dir };
}

async function describe(
  path: string,
  { files, folder }: { files: readonly string[]; folder: string },
): Promise<Weights> {
  const config = join(folder, CONFIG);
  if (await kindOf(config) !== "file") return { path, files, model: null, folder: null, data_dir: null };
  const value = await readJson(config);
  const isHf = typeof value === "object" && value !== null && "model_type" in value;
  const model = isHf ? readHfConfig(value, config) : readOwnConfig(value, config);
  const data_dir = await weightsTokenizer(folder) === null ? null : folder;
  return { path, files, model, folder, data_dir };
}

/** nanoGPT's `model_args`, as docs/from_nanogpt.py and `export --format=nanogpt` write them. */
const ownSchema = z.object({
  n_layer: modelKeys.n_layer,
  n_head: modelKeys.n_head,
  n_embd: modelKeys.n_embd,
  block_size: modelKeys.block_size,
  vocab_size: modelKeys.vocab_size,
  bias: modelKeys.bias,
  activation: modelKeys.activation,
});

function readOwnConfig(value: unknown, path: string): ModelKeys {
  const keys = ["n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias"];
  const missing = typeof value === "object" && value !== null
    ? keys.find((key) => !Object.hasOwn(value, key))
    : keys[0];
  const parsed = ownSchema.safeParse(value);
  if (parsed.success && missing === undefined) return { ...parsed.data, attention: "causal" };
  const why = missing === undefined
    ? `"${parsed.error?.issues[0].path.join(".")}" is wrong: ${parsed.error?.issues[0].message}`
    : `it lacks ${missing}`;
  throw new LockstepError(
    "E_WEIGHTS",
    `Cannot take the model of ${path} as it must be transformers' of a GPT-2 or nanoGPT's model_args: ${why}`,
  );
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

async function shardsOf(folder: string): Promise<string[]> {
  const path = join(folder, INDEX);
  const parsed = indexSchema.safeParse(await readJson(path));
  const names = parsed.success ? [...new Set(Object.values(parsed.data.weight_map))].sort() : [];
  const outside = names.find((name) => name !== basename(name));
  if (names.length > 0 && outside === undefined) return names.map((name) => join(folder, name));
  const why = outside === undefined ? "it has no weight_map" : `${outside} is no file beside it`;
  throw new LockstepError("E_WEIGHTS", `Cannot read the list of shards ${path}: ${why}`);
}

/** All parameters by nanoGPT's names, in nanoGPT's layout. Throws E_WEIGHTS for a damaged file. */
export async function readWeights({ path, files }: Weights): Promise<Map<string, Tensor>> {
  const parameters = new Map<string, Tensor>();
  const isHf = await isHfLayout(files);
  for (const file of files) {
    for (const [stored, tensor] of await readTensors(file)) {
      const name = isHf ? parameterNamed(stored) : stored;
      if (name !== null) parameters.set(name, isHf && isTransposed(name) ? turned(tensor) : tensor);
    }
  }
  dropTiedHead(parameters, path);
  return parameters;
}

/** The shapes tell: queries, keys and values of a block are (C, 3C) in transformers and (3C, C) in nanoGPT. */
async function isHfLayout(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const { tensors } = await readHeader(file);
    const found = tensors.find(({ name }) => /^(transformer\.)?h\.\d+\.attn\.c_attn\.weight$/.test(name));
    if (found !== undefined) return found.shape[1] === 3 * found.shape[0];
  }
  return false;
}

function turned({ dtype, shape, data }: Tensor): Tensor {
  if (!(data instanceof Float32Array)) return { dtype, shape, data };
  return { dtype, shape: shape.toReversed(), data: transpose(data, shape) };
}

/** The models here use the token embedding for the logits too; a file may hold that matrix a second time. */
function dropTiedHead(parameters: Map<string, Tensor>, path: string): void {
  const head = parameters.get("lm_head.weight");
  const embedding = parameters.get("transformer.wte.weight");
  if (head === undefined || embedding === undefined) return;
  if (head.data.some((x, i) => x !== embedding.data[i])) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot load ${path}: lm_head.weight must be transformer.wte.weight, as the models here tie them, and differs`,
    );
  }
  parameters.delete("lm_head.weight");
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new LockstepError("E_WEIGHTS", `Cannot read ${path} as it is no JSON`, { cause });
  }
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  try {
    const { isFile, isDirectory } = await Deno.stat(path);
    return isFile ? "file" : isDirectory ? "folder" : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
