import { basename, resolve } from "node:path";
import { type Manifest, readManifest } from "../../shared/checkpoint/manifest.ts";
import type { CheckpointState } from "../../shared/checkpoint/state.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { flattenValues } from "../../shared/config/key_values.ts";
import { type EvalLine, readEvals, readMetrics, readSamples, type SampleLine } from "../../shared/metrics.ts";
import { runDirAt } from "../../shared/run_dir.ts";
import { readSavedConfig } from "../../shared/saved_run.ts";
import { type Curves, Series } from "../run_history/series.ts";

/** Columns of metrics.jsonl that a report draws. */
export const DRAWN = ["loss", "lr", "grad_norm", "tokens_per_sec"] as const;

/** What a report says of a run. */
export interface ReportedRun {
  /** The folder's name, or its path where another run of the report has the same. */
  readonly name: string;
  readonly path: string;
  /** config.toml as it lies there, and its keys. */
  readonly configText: string;
  readonly config: ReadonlyMap<string, unknown>;
  readonly manifest: Manifest;
  /** By column of {@link DRAWN}. */
  readonly training: Curves;
  /** Estimates of the loss, in rising order of steps. */
  readonly estimates: readonly { readonly step: number; readonly train: number; readonly val: number }[];
  /** The last line of each task. */
  readonly evals: readonly EvalLine[];
  /** The last ones. */
  readonly samples: readonly SampleLine[];
  /** The newest checkpoint, verified. */
  readonly newest: CheckpointState;
  readonly bestStep: number | null;
}

/** Points of a curve, as many as a picture is wide. */
const POINTS = 500;
const SAMPLES = 5;

/**
 * Reads the runs in these folders. Throws E_OUT_DIR where there is none, E_NO_CHECKPOINT where nothing was saved, E_DECODE for
 * damaged files.
 */
export async function readReportedRuns(paths: readonly string[]): Promise<ReportedRun[]> {
  const runs = await Promise.all(paths.map(readRun));
  return runs.map((run) => {
    const isAlone = runs.filter(({ name }) => name === run.name).length === 1;
    return isAlone ? run : { ...run, name: run.path };
  });
}

async function readRun(path: string): Promise<ReportedRun> {
  const dir = runDirAt(path);
  const config = await readSavedConfig(path);
  const store = new CheckpointStore(dir.checkpoints);
  const series = new Series(DRAWN, { capacity: 4 * POINTS });
  for await (const line of readMetrics(dir.metrics)) {
    series.push(line.step, DRAWN.map((column) => line[column] ?? NaN));
  }
  const samples: SampleLine[] = [];
  for await (const sample of readSamples(dir.samples)) {
    samples.push(sample);
    if (samples.length > SAMPLES) samples.shift();
  }
  return {
    name: basename(resolve(path)),
    path,
    configText: await Deno.readTextFile(dir.config),
    config: flattenValues(config, path),
    manifest: await readManifest(dir.manifest),
    training: series.curves({ points: POINTS }),
    ...await readEvaluations(dir.evals),
    samples,
    newest: (await store.load("latest")).state,
    bestStep: await store.named("BEST"),
  };
}

async function readEvaluations(path: string): Promise<Pick<ReportedRun, "estimates" | "evals">> {
  const estimates = new Map<number, ReportedRun["estimates"][number]>();
  const evals = new Map<string, EvalLine>();
  for await (const line of readEvals(path)) {
    const { step, task, metrics: { train_loss, val_loss } } = line;
    if (task === "estimate") estimates.set(step, { step, train: train_loss ?? NaN, val: val_loss ?? NaN });
    else evals.set(task, line);
  }
  return { estimates: [...estimates.values()].sort((a, b) => a.step - b.step), evals: [...evals.values()] };
}
