/** Puts a whole run together: data, run directory, members, coordinator. What `train` and the library's `train` call. */
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import {
  assertSameNumerics,
  createManifest,
  type Numerics,
  readManifest,
  writeManifest,
} from "../../shared/checkpoint/manifest.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { configHash, numericsOf } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { toToml } from "../../shared/config/toml.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { type PrepareProgress, prepareText } from "../../shared/data/prepare.ts";
import { LockstepError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../shared/files.ts";
import { gitRevision } from "../../shared/git_revision.ts";
import { openEvals, openMetrics } from "../../shared/metrics.ts";
import { createRunDir, openRunDir, type RunDir } from "../../shared/run_dir.ts";
import { chooseEngine, isNativeCodeAllowed } from "../../worker/engines/choose_engine.ts";
import { readSnapshot, type Snapshot } from "../checkpoints.ts";
import { runCoordinator, type RunObserver, type RunResult } from "../coordinator.ts";
import type { MemberInfo } from "../forming.ts";
import { musterCrew } from "./crew.ts";

export interface TrainRunOptions {
  readonly config: RunConfig;
  /** Names the run's directory unless `out_dir` does. */
  readonly preset: string;
  readonly observer?: TrainObserver;
  /** Ends the run after the step under way. */
  readonly signal?: AbortSignal;
}

/** What is told besides the run itself. */
export interface TrainObserver extends RunObserver {
  /** Before anything is started: what computes, how many, and why. */
  plan?(plan: RunPlan): void;
  preparing?(progress: PrepareProgress): void;
  warn?(sentence: string): void;
}

/** What a run consists of. */
export interface RunPlan {
  readonly engine: string;
  readonly device: string;
  readonly workers: number;
  readonly threads: number;
  readonly reason: string;
  readonly runDir: string;
  /** Where it goes on; 0 for a new run. */
  readonly step: number;
}

export interface TrainedRun extends RunResult {
  readonly runDir: string;
  readonly config: RunConfig;
}

/** Trains from the configuration to the end, or until `signal`. */
export async function trainRun(
  { config: given, preset, observer = {}, signal }: TrainRunOptions,
): Promise<TrainedRun> {
  const config = await resolveData(given, observer);
  const workers = chooseWorkers(config);
  const engine = chooseEngine(config);
  const { run, snapshot } = await openRun(config, { preset, observer });
  const { name, device } = engine;
  observer.plan?.({
    engine: name,
    device,
    workers: workers.count,
    threads: config.threads,
    reason: `${engine.reason}; ${workers.reason}`,
    runDir: run.path,
    step: snapshot?.step ?? 0,
  });
  const resumeAt = snapshot?.step ?? 0;
  using metrics = await openMetrics(run.metrics, { resumeAt });
  using evals = await openEvals(run.evals, { resumeAt });
  const store = new CheckpointStore(run.checkpoints, { keep: config.keep_checkpoints });
  await store.sweep();
  const crew = await musterCrew({ count: workers.count, verbose: config.verbose });
  try {
    const result = await runCoordinator({
      members: crew.members,
      config,
      configHash: configHash(config),
      store,
      snapshot,
      shouldStop: () => signal?.aborted ?? false,
      accept: (info) => acceptManifest(run, { config, info }),
      observer: {
        ...observer,
        step(line) {
          if (line.step % config.log_interval === 0 || line.step === config.max_iters - 1) {
            metrics.append(line);
          }
          observer.step?.(line);
        },
        estimate(estimate) {
          const { step, train, val } = estimate;
          evals.append({ step, task: "estimate", metrics: { train_loss: train, val_loss: val } });
          observer.estimate?.(estimate);
        },
      },
    });
    if (result.task !== null) {
      const values = result.task.metrics.flatMap(({ name, value, low, high }) => [
        [name, value],
        [`${name}_low`, low],
        [`${name}_high`, high],
      ]);
      evals.append({ step: result.step, task: result.task.name, metrics: Object.fromEntries(values) });
    }
    await crew.finish();
    return { ...result, runDir: run.path, config };
  } catch (error) {
    await crew.kill();
    throw error;
  }
}

/** Prepares text where that is needed, and fills in what follows from the data. */
export async function resolveData(config: RunConfig, observer: TrainObserver = {}): Promise<RunConfig> {
  const data_dir = config.dataset === "text" && (config.data !== null || config.data_dir === null)
    ? (await prepareText(config, (progress) => observer.preparing?.(progress))).dataDir
    : config.data_dir;
  const dataset = await openDataset({ ...config, data_dir });
  const { vocabSize } = dataset;
  dataset.close();
  if (config.vocab_size !== 0 && config.vocab_size < vocabSize) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot train with vocab_size ${config.vocab_size} as the data has ${vocabSize} token ids: leave it out or give at least that`,
    );
  }
  return { ...config, data_dir, vocab_size: config.vocab_size || vocabSize };
}

/** How many workers, and why in a few words. */
export function chooseWorkers(config: RunConfig): { count: number; reason: string } {
  const { nproc_per_node, gradient_accumulation_steps: V } = config;
  if (typeof nproc_per_node === "number") {
    if (nproc_per_node > V) {
      throw new LockstepError(
        "E_WORLD_SIZE",
        `Cannot share ${V} micro-batches a step (gradient_accumulation_steps) among ${nproc_per_node} workers (nproc_per_node): lower the one or raise the other`,
      );
    }
    return { count: nproc_per_node, reason: `--nproc_per_node=${nproc_per_node}` };
  }
  if (nproc_per_node === "gpu") {
    throw new LockstepError(
      "E_ENGINE",
      "Cannot start a worker for each GPU: no engine for GPUs is built yet; use --nproc_per_node=cpu",
    );
  }
  if (!isNativeCodeAllowed()) return { count: 1, reason: "one process without --allow-ffi" };
  const cores = availableParallelism();
  const count = Math.min(cores, V);
  return { count, reason: `${cores} cores, ${V} micro-batches a step` };
}

interface OpenedRun {
  readonly run: RunDir;
  readonly snapshot: Snapshot | null;
}

/** A new run's directory, or the one to resume with its newest good checkpoint. */
async function openRun(
  config: RunConfig,
  { preset, observer }: { preset: string; observer: TrainObserver },
): Promise<OpenedRun> {
  const { out_dir } = config;
  if (config.init_from !== "resume") {
    const run = await createRunDir({ out_dir, preset });
    await writeFileAtomic(run.config, toToml(config));
    return { run, snapshot: null };
  }
  const run = await openRunDir({ out_dir, preset });
  const found = await new CheckpointStore(run.checkpoints).load("latest");
  for (const warning of found.warnings) observer.warn?.(warning);
  return { run, snapshot: await readSnapshot(found) };
}

/** Writes the manifest of a new run, or holds a resumed one to it. */
async function acceptManifest(
  run: RunDir,
  { config, info }: { config: RunConfig; info: MemberInfo },
): Promise<{ configHash: string }> {
  const numerics: Numerics = {
    engine: info.engine,
    device: info.device,
    threads: config.threads,
    graph: info.graph,
    slice_rows: info.sliceRows === config.batch_size ? null : info.sliceRows,
    model_module: config.model === null ? null : { path: config.model, sha256: info.modelSource },
    data: { ...info.data },
    config: JSON.parse(JSON.stringify(Object.fromEntries(numericsOf(config)))),
  };
  if (config.init_from === "resume") {
    const saved = await readManifest(run.manifest);
    assertSameNumerics(saved.numerics, numerics);
    return { configHash: saved.config_hash };
  }
  const manifest = createManifest({
    run_id: crypto.randomUUID(),
    created: new Date().toISOString(),
    versions: { lockstep: project.version, deno: Deno.version.deno, ...packageVersions() },
    git_revision: await gitRevision(dirname(fileURLToPath(import.meta.url))),
    numerics,
  });
  await writeManifest(run.manifest, manifest);
  return { configHash: manifest.config_hash };
}

/** Versions of the packages that compute. */
function packageVersions(): Record<string, string> {
  const computing = ["onnxruntime-node", "@tensorflow/tfjs", "zeromq"];
  const entries = Object.entries(project.imports).filter(([name]) => computing.includes(name));
  return Object.fromEntries(
    entries.map(([name, specifier]) => [name, specifier.slice(specifier.lastIndexOf("@") + 1)]),
  );
}
