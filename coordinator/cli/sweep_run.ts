/** One run of a sweep: trains it in a process of its own, measures it in another, and keeps its result. */
import { dirname } from "node:path";
import { z } from "zod";
import { readManifest } from "../../shared/checkpoint/manifest.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { EXIT } from "../../shared/errors.ts";
import { makeFolder } from "../../shared/files.ts";
import { canonicalHash } from "../../shared/hash.ts";
import { describeMachine } from "../../shared/machine.ts";
import { runDirAt } from "../../shared/run_dir.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import { evaluatesBest } from "../evaluate_task.ts";
import { readCurve } from "../sweep/run_curve.ts";
import { identityOf } from "../sweep/run_identity.ts";
import { type RunResult, type TaskMetrics, taskMetricsSchema, writeResult } from "../sweep/run_result.ts";
import { isFinished, readRunState, type RunState } from "../sweep/run_state.ts";
import { trainingSeconds } from "../sweep/training_time.ts";
import type { PlannedRun } from "./sweep_plan.ts";
import { startProcess, type SweepProcessEnd } from "./sweep_process.ts";

export interface SweepRunOptions {
  /** Ends it: a training saves, a measurement is given up. */
  readonly signal: AbortSignal;
  /** Whether whoever asks this process to end asks those that it has started too, as Slurm does. */
  readonly reachesAll: boolean;
  /** Tells a person. */
  say(sentence: string): void;
}

/** What became of a run. */
export type SweepRunOutcome =
  | { readonly kind: "done"; readonly result: RunResult }
  /** The same sweep goes on with it later; `isTrained` where only its figures are missing. */
  | { readonly kind: "open"; readonly reason: string; readonly isTrained: boolean }
  | { readonly kind: "failed"; readonly reason: string };

/** Takes a run as far as it goes. Rejects where files cannot be written. */
export async function sweepRun(run: PlannedRun, options: SweepRunOptions): Promise<SweepRunOutcome> {
  using log = await claimLog(`${run.folder}.log`);
  if (log === null) return { kind: "open", reason: "another sweep has it", isTrained: false };
  const state = await readRunState({ ...run, budgetMs: run.sweep.budgetMs });
  if (state.kind === "done") return { kind: "done", result: state.result };
  if (state.kind === "running") {
    return { kind: "open", reason: `another process trains it, ${state.reason}`, isTrained: false };
  }
  if (state.kind === "changed") return { kind: "failed", reason: state.differences.join(", ") };
  const stages = new Stages(run, { ...options, log });
  if (state.kind !== "trained") {
    const outcome = await stages.train(state);
    if (outcome !== null) return outcome;
  }
  const measured = await stages.measure();
  if (measured.kind !== "measured") return measured;
  const result = await resultOf(run, measured.tasks);
  await makeFolder(dirname(run.result));
  await writeResult(run.result, result);
  return { kind: "done", result };
}

/** Opens the file that takes what a run's processes write; null while another process has it open so. */
async function claimLog(path: string): Promise<Deno.FsFile | null> {
  await makeFolder(dirname(path));
  const file = await Deno.open(path, { append: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  return null;
}

/** What `train` prints that ends by max_time. */
const OUT_OF_TIME = /^stopped after step \d+, as max_time/;
/** What `eval --json` prints, as far as it is kept. */
const printedSchema = z.object({ tasks: taskMetricsSchema });
/** What `train` prints of each estimate. */
const ESTIMATE = /^step \d+: train loss/;

/** The processes of one run. */
class Stages {
  constructor(
    private readonly run: PlannedRun,
    private readonly options: SweepRunOptions & { readonly log: Deno.FsFile },
  ) {}

  /** Trains to the end of the steps or the budget; what became of the run where that was not reached. */
  async train(state: RunState & { kind: "new" | "resumable" }): Promise<SweepRunOutcome | null> {
    const { run: { folder }, options: { signal, say } } = this;
    if (state.kind === "new" && state.leftover) await Deno.remove(folder, { recursive: true });
    say(state.kind === "new" ? "starts" : `goes on from step ${state.step}`);
    let isOutOfTime = false;
    const { code, lastWords } = await this.#runs(this.#trainWords(state), {
      stop: "SIGINT",
      onLine: (line) => {
        if (ESTIMATE.test(line)) say(line);
        if (OUT_OF_TIME.test(line)) isOutOfTime = true;
      },
    });
    if (code === 0 || (code === EXIT.tryAgain && isOutOfTime)) return null;
    if (signal.aborted) return { kind: "open", reason: "interrupted", isTrained: false };
    return { kind: "failed", reason: `train ended with ${code}: ${lastWords}` };
  }

  /** Measures what was trained by the run's tasks. */
  async measure(): Promise<SweepRunOutcome | { readonly kind: "measured"; readonly tasks: TaskMetrics }> {
    const { run: { folder, tasks, config }, options: { signal } } = this;
    if (tasks.length === 0) return { kind: "measured", tasks: {} };
    if (signal.aborted) return { kind: "open", reason: "interrupted", isTrained: true };
    let json = "";
    const words = [
      ...["eval", folder, `--tasks=${tasks.join(",")}`, "--json", `--eval_items=${config.eval_items}`],
      ...[`--engine=${config.engine}`, `--device=${config.device}`],
      `--nproc_per_node=${config.nproc_per_node}`,
      ...(evaluatesBest(config) ? ["--checkpoint=best"] : []),
      ...(config.task_data === null ? [] : [`--task_data=${config.task_data}`]),
    ];
    const { code, lastWords } = await this.#runs(words, {
      stop: "SIGKILL", // nothing of it is kept until it has ended
      onLine: (line) => {
        if (line.startsWith("{")) json = line;
      },
    });
    if (code !== 0) {
      return signal.aborted
        ? { kind: "open", reason: "interrupted", isTrained: true }
        : { kind: "failed", reason: `eval ended with ${code}: ${lastWords}` };
    }
    return { kind: "measured", tasks: printedSchema.parse(JSON.parse(json)).tasks };
  }

  /** Tasks are measured once it is trained, so that a run which its budget ends is measured too. */
  #trainWords(state: RunState & { kind: "new" | "resumable" }): string[] {
    const { words, folder, sweep: { budgetMs } } = this.run;
    const usedMs = state.kind === "resumable" ? 1_000 * state.seconds : 0;
    return [
      ...["train", ...words, `--out_dir=${folder}`, "--eval_items=0"],
      ...(state.kind === "resumable" ? ["--init_from=resume"] : []),
      ...(budgetMs === null ? [] : [`--max_time=${Math.ceil((budgetMs - usedMs) / 1_000)}s`]),
    ];
  }

  async #runs(
    words: readonly string[],
    { stop, onLine }: { stop: Deno.Signal; onLine(line: string): void },
  ): Promise<SweepProcessEnd> {
    const { signal, reachesAll, log } = this.options;
    const { pid, ended } = startProcess(words, { log, onLine });
    const end = () => reachesAll && stop !== "SIGKILL" || sendSignal(pid, stop);
    signal.addEventListener("abort", end);
    try {
      return await ended;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }
}

/** What is kept of a run that is trained and measured. */
async function resultOf(run: PlannedRun, tasks: TaskMetrics): Promise<RunResult> {
  const { config, cost, sweep: { name: sweep, budgetMs }, variant, seed, folder } = run;
  const dir = runDirAt(folder);
  const manifest = await readManifest(dir.manifest);
  const [curve, seconds, saved] = await Promise.all([
    readCurve(dir.evals),
    trainingSeconds(folder),
    new CheckpointStore(dir.checkpoints).steps(),
  ]);
  const steps = saved.at(-1) ?? 0;
  const identity: RunResult["config"] = JSON.parse(JSON.stringify(identityOf(config)));
  return {
    format: 1,
    ...{ sweep, variant: variant.name, seed },
    status: await isFinished(config, { step: steps, folder }) ? "finished" : "stopped",
    config_hash: canonicalHash(identity),
    config: identity,
    parameters: cost.parameters,
    flops_per_token: cost.flopsPerToken,
    max_iters: config.max_iters,
    steps,
    tokens: steps * cost.tokensPerStep,
    seconds: Math.round(seconds),
    budget_seconds: budgetMs === null ? null : budgetMs / 1_000,
    val_loss: curve.val_loss.at(-1) ?? null,
    eval_items: config.eval_items,
    tasks,
    curve,
    engine: manifest.numerics.engine,
    device: manifest.numerics.device,
    versions: manifest.versions,
    git_revision: manifest.git_revision,
    machine: describeMachine(),
    date: new Date().toISOString(),
  };
}
