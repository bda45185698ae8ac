import { modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { readDataMeta } from "../../shared/data/data_meta.ts";
import { isGenerated, openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { defaultDataDir } from "../../shared/data/prepare.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import type { EngineChoice } from "../../worker/engines/decide_engine.ts";
import { loadModel } from "../../worker/model/load_model.ts";
import type { RunNeeds, RunPlan } from "../doctor/check.ts";
import { chooseWorkers } from "./choose_workers.ts";
import { askedEngine } from "./open_run.ts";
import { workerMemory } from "./worker_memory.ts";

/** Deno, its threads, ONNX Runtime and the program, in bytes: measured with models that are next to nothing. */
const PROCESS_BYTES = 220 << 20;
const BYTES_OF_STATE = 12; // a parameter and its two moments

/** What a run of `config` would be on this machine; nothing is started, written or prepared. */
export function planRun(config: RunConfig, { preset }: { preset: string }): RunPlan {
  const engine = once(async () => await chooseEngine(await askedEngine(config, { preset })));
  const workers = once(async () => {
    const place = await engine().catch(() => ({ device: "cpu", gpus: [] } as const));
    return chooseWorkers(config, place);
  });
  return { engine, workers, needs: once(async () => await needsOf(config, { engine, workers })) };
}

async function needsOf(
  config: RunConfig,
  { engine, workers }: { engine(): Promise<EngineChoice>; workers: RunPlan["workers"] },
): Promise<RunNeeds> {
  const vocab_size = config.vocab_size || await vocabularyOf(config);
  const model = await loadModel(modelConfig({ ...config, vocab_size }), config.model);
  const { count } = await workers().catch(() => ({ count: 1 }));
  const { state, gradients, activations } = workerMemory(model, { config, workers: count });
  const { device } = await engine().catch(() => ({ device: "cpu" }));
  const checkpointBytes = BYTES_OF_STATE * model.size;
  return {
    parameters: model.size,
    arenaBytes: Math.max(state, gradients),
    // A checkpoint is copied on its way to the disk; activations of a GPU lie there.
    workerBytes: PROCESS_BYTES + state + gradients + checkpointBytes + (device === "cpu" ? activations : 0),
    checkpointBytes,
  };
}

/** Of tokenizers whose text is not prepared yet; a text rarely has more different characters. */
const VOCABULARY = { char: 256, byte: 256, gpt2: 50_257 } as const;

async function vocabularyOf(config: RunConfig): Promise<number> {
  const { dataset, tokenizer } = config;
  if (isGenerated(dataset)) return (await openDataset(config)).vocabSize;
  const meta = await readDataMeta(config.data_dir ?? defaultDataDir(config)).catch(() => null);
  return meta?.vocab_size ?? VOCABULARY[tokenizer];
}

/** Calls `find` once, whoever asks first. */
function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => found ??= find();
}
