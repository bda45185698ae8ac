/** Evaluates a trained run: what `eval` and the library's `evaluate` call. */
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { overrideEngine } from "../../worker/engines/decide_engine.ts";
import { realClock } from "../../shared/clock.ts";
import { configHash } from "../../shared/config/config_hash.ts";
import { evaluationKeys } from "../../shared/config/keys/run.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { openEvals } from "../../shared/metrics.ts";
import { evaluateTask, figuresOf, openEvaluation, taskOf, type TaskResult } from "../evaluate_task.ts";
import { Group } from "../group.ts";
import { openSavedModel } from "../../shared/saved_model.ts";
import type { CheckpointChoice } from "../../shared/saved_run.ts";
import type { OnProgress } from "../../shared/progress.ts";
import { TASKS } from "../../shared/tasks/open_task.ts";
import type { Task } from "../../shared/tasks/task.ts";
import { readSnapshot } from "../checkpoints.ts";
import { chooseWorkers } from "./choose_workers.ts";
import { musterCrew } from "./crew.ts";

export interface EvalRunOptions {
  /** The run's folder, or weights: what `openSavedModel` takes. */
  readonly run: string;
  readonly checkpoint?: CheckpointChoice;
  /** Tasks by name; none is the run's own. */
  readonly tasks: readonly string[];
  /** Keys of the run's configuration that are set otherwise for this evaluation. */
  readonly overrides?: Partial<
    Pick<
      RunConfig,
      "eval_items" | "data_dir" | "task_data" | "engine" | "device" | "nproc_per_node" | "verbose"
    >
  >;
  /** Told of the batches of each task. */
  onProgress?(done: number, of: number): void;
  /** Told of weights that are fetched. */
  readonly onTransfer?: OnProgress;
  onWarning?(sentence: string): void;
}

export interface EvaluatedRun {
  readonly run: string;
  readonly step: number;
  readonly results: TaskResult[];
}

/** Has workers evaluate tasks with a run's weights, and notes the figures in its eval.jsonl; or with weights that are no run's. */
export async function evalRun(options: EvalRunOptions): Promise<EvaluatedRun> {
  const { run, checkpoint, overrides = {}, onProgress, onWarning } = options;
  const saved = await openSavedModel(run, checkpoint, options.onTransfer);
  for (const warning of saved.run?.checkpoint.warnings ?? []) onWarning?.(warning);
  // Weights that are no run's are read by the members themselves, as at the start of a run.
  const snapshot = saved.run === null ? null : await readSnapshot(saved.run.checkpoint);
  const asked = evaluationConfig(saved.config, overrides);
  using opened = new DisposableStack();
  const tasks = await fittingTasks(asked, { names: options.tasks, opened, onWarning });
  const engine = await chooseEngine(asked);
  const config = { ...asked, engine: engine.name, device: engine.device };
  // Batches are dealt one by one: micro-batches set no limit.
  const { count, gpus } = chooseWorkers({ ...config, gradient_accumulation_steps: Infinity }, engine);
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
    position: { step: snapshot?.step ?? 0, stateHash: snapshot?.stateHash ?? null },
    decided: null,
    restore: () => Promise.resolve(snapshot),
    note: () => {}, // an evaluation leaves no log
  });
  crew.watch(group);
  try {
    await group.form();
    const results: TaskResult[] = [];
    for (const [evaluation, task] of tasks.entries()) {
      results.push(await evaluateTask({ task, group, config, evaluation, onProgress }));
    }
    group.drain();
    await crew.finish();
    const step = snapshot?.step ?? 0;
    if (saved.run !== null) await note(saved.run.dir.evals, { step, results });
    return { run, step, results };
  } catch (error) {
    group.close();
    await crew.kill();
    throw error;
  }
}

/** A run's configuration for an evaluation by tasks; that the run has none at its end says nothing about this one. */
function evaluationConfig(saved: RunConfig, overrides: NonNullable<EvalRunOptions["overrides"]>): RunConfig {
  const config = { ...saved, ...overrides, ...overrideEngine(saved, overrides) };
  return {
    ...config,
    eval_only: false,
    eval_items: config.eval_items || evaluationKeys.eval_items.parse(undefined),
  };
}

/**
 * Opens the tasks that are asked for, before anything is computed: none is the run's own, `fitting` all that fit the model.
 * `opened` closes them. Throws E_TASK for one that does not fit, E_USAGE for a name that is none.
 */
async function fittingTasks(
  config: RunConfig,
  { names, opened, onWarning }: {
    names: readonly string[];
    opened: DisposableStack;
    onWarning: EvalRunOptions["onWarning"];
  },
): Promise<Task[]> {
  const takesAny = names.length === 1 && names[0] === FITTING;
  const asked = names.length === 0 ? [taskOf(config)] : names;
  const fitting: Task[] = [];
  for (const name of takesAny ? TASKS : asked) {
    try {
      const task = await openEvaluation(name, config);
      opened.defer(() => task.close());
      refuseTooLarge(task, config);
      fitting.push(task);
    } catch (error) {
      const isMissing = error instanceof LockstepError &&
        ["E_TASK", "E_DATA", "E_CONFIG"].includes(error.code);
      if (!takesAny || !isMissing) throw error;
      onWarning?.(`${name} is left out: ${error.message}`);
    }
  }
  return fitting;
}

/** The name for all tasks that a model can be asked. */
const FITTING = "fitting";

function refuseTooLarge({ name, needs }: Task, { vocab_size, block_size }: RunConfig): void {
  if (needs === null || (needs.vocabSize <= vocab_size && needs.length <= block_size)) return;
  throw new LockstepError(
    "E_TASK",
    `Cannot evaluate ${name} as its items need ${needs.vocabSize} token ids and ${needs.length} tokens: the model has ` +
      `${vocab_size} and ${block_size}, leave it out or take --tasks=${FITTING}`,
  );
}

async function note(path: string, { step, results }: { step: number; results: TaskResult[] }): Promise<void> {
  using evals = await openEvals(path);
  for (const { name, metrics } of results) {
    evals.append({
      step,
      task: name,
      metrics: figuresOf(metrics),
    });
  }
}
