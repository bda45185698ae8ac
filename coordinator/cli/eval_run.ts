/** Evaluates a trained run: what `eval` and the library's `evaluate` call. */
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { overrideEngine } from "../../worker/engines/decide_engine.ts";
import { realClock } from "../../shared/clock.ts";
import { configHash } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { openEvals } from "../../shared/metrics.ts";
import { evaluateTask, taskOf, type TaskResult } from "../evaluate_task.ts";
import { Group } from "../group.ts";
import { type CheckpointChoice, openSavedRun } from "../../shared/saved_run.ts";
import { readSnapshot } from "../checkpoints.ts";
import { chooseWorkers } from "./choose_workers.ts";
import { musterCrew } from "./crew.ts";

export interface EvalRunOptions {
  /** The run's folder. */
  readonly run: string;
  readonly checkpoint?: CheckpointChoice;
  /** Tasks by name; none is the run's own. */
  readonly tasks: readonly string[];
  /** Keys of the run's configuration that are set otherwise for this evaluation. */
  readonly overrides?: Partial<
    Pick<RunConfig, "eval_items" | "data_dir" | "engine" | "device" | "nproc_per_node" | "verbose">
  >;
  onProgress?(done: number, of: number): void;
  onWarning?(sentence: string): void;
}

export interface EvaluatedRun {
  readonly run: string;
  readonly step: number;
  readonly results: TaskResult[];
}

/** Has workers evaluate tasks with a run's weights, and notes the figures in its eval.jsonl. */
export async function evalRun(options: EvalRunOptions): Promise<EvaluatedRun> {
  const { run, checkpoint, overrides = {}, onProgress, onWarning } = options;
  const saved = await openSavedRun(run, checkpoint);
  for (const warning of saved.checkpoint.warnings) onWarning?.(warning);
  const snapshot = await readSnapshot(saved.checkpoint);
  const asked = { ...saved.config, ...overrides, ...overrideEngine(saved.config, overrides) };
  const engine = await chooseEngine(asked);
  const config = { ...asked, engine: engine.name, device: engine.device };
  const { count, gpus } = chooseWorkers(config, engine);
  const crew = await musterCrew({ count, gpus, engine: engine.name, verbose: config.verbose });
  const group = new Group({
    server: crew.server,
    clock: realClock,
    epoch: 0,
    config,
    configHash: configHash(config),
    trains: false,
    expected: count,
    minMembers: 1,
    maxMembers: count,
    inProcess: crew.inProcess,
    position: { step: snapshot.step, stateHash: snapshot.stateHash },
    decided: null,
    restore: () => Promise.resolve(snapshot),
    note: () => {}, // an evaluation leaves no log
  });
  crew.watch(group);
  try {
    await group.form();
    const names = options.tasks.length > 0 ? options.tasks : [taskOf(config)];
    const results: TaskResult[] = [];
    for (const [evaluation, name] of names.entries()) {
      results.push(await evaluateTask({ name, group, config, evaluation, onProgress }));
    }
    group.drain();
    await crew.finish();
    await note(saved.dir.evals, { step: snapshot.step, results });
    return { run, step: snapshot.step, results };
  } catch (error) {
    group.close();
    await crew.kill();
    throw error;
  }
}

async function note(path: string, { step, results }: { step: number; results: TaskResult[] }): Promise<void> {
  using evals = await openEvals(path);
  for (const { name, metrics } of results) {
    evals.append({
      step,
      task: name,
      metrics: Object.fromEntries(metrics.map(({ name, value }) => [name, value])),
    });
  }
}
