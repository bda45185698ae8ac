import { join } from "node:path";
import { readAlive } from "../../shared/alive_file.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { isThere } from "../../shared/files.ts";
import { runDirAt } from "../../shared/run_dir.ts";
import { readValLosses } from "../../shared/metrics.ts";
import { isSavedRun, readSavedConfig } from "../../shared/saved_run.ts";
import { earlyStopping } from "../early_stopping.ts";
import { differencesBetween, identityOf } from "./run_identity.ts";
import { readResult, type RunResult } from "./run_result.ts";
import { trainingSeconds } from "./training_time.ts";

/** How far a run of a sweep has come. */
export type RunState =
  /** Its result says all that the sweep asks for. */
  | { readonly kind: "done"; readonly result: RunResult }
  /** It is trained, to its end or its budget's, and has to be measured. */
  | { readonly kind: "trained"; readonly step: number }
  /** It goes on from its last checkpoint; seconds that it has trained. */
  | { readonly kind: "resumable"; readonly step: number; readonly seconds: number }
  /** Nothing is there to go on from; `leftover` where its folder has a start that came to nothing. */
  | { readonly kind: "new"; readonly leftover: boolean }
  /** A process trains it now. */
  | { readonly kind: "running"; readonly reason: string }
  /** What is there is of another configuration. */
  | { readonly kind: "changed"; readonly path: string; readonly differences: readonly string[] };

/** What a sweep asks of a run. */
export interface WantedRun {
  /** Complete, with what follows from the data. */
  readonly config: RunConfig;
  readonly folder: string;
  /** The file of its result. */
  readonly result: string;
  readonly tasks: readonly string[];
  readonly budgetMs: number | null;
}

/** Looks at a run's result and folder, and changes nothing. Throws E_DECODE, E_CONFIG for files that are damaged. */
export async function readRunState(wanted: WantedRun): Promise<RunState> {
  const identity = identityOf(wanted.config);
  const result = await readResult(wanted.result);
  if (result !== null) {
    const differences = differencesBetween(result.config, identity);
    if (differences.length > 0) return { kind: "changed", path: wanted.result, differences };
    if (isAnswered(wanted, result)) return { kind: "done", result };
  }
  const { folder, config, budgetMs } = wanted;
  const isSaved = await isSavedRun(folder);
  const differences = isSaved ? differencesBetween(identityOf(await readSavedConfig(folder)), identity) : [];
  if (differences.length > 0) return { kind: "changed", path: folder, differences };
  const { alive, reason } = readAlive(join(folder, "alive"));
  if (alive) return { kind: "running", reason };
  if (!isSaved) return { kind: "new", leftover: await isThere(folder) };
  const step = (await new CheckpointStore(runDirAt(folder).checkpoints).steps()).at(-1);
  if (step === undefined) return { kind: "new", leftover: true };
  const seconds = await trainingSeconds(folder);
  const isOver = budgetMs !== null && 1_000 * seconds >= budgetMs;
  return isOver || await isFinished(config, { step, folder })
    ? { kind: "trained", step }
    : { kind: "resumable", step, seconds };
}

/** Whether all steps are made, or those after which it stops early. */
export async function isFinished(
  { max_iters, early_stopping_patience, early_stopping_threshold }: RunConfig,
  { step, folder }: { step: number; folder: string },
): Promise<boolean> {
  if (step >= max_iters || early_stopping_patience === null) return step >= max_iters;
  const losses = await readValLosses(runDirAt(folder).evals);
  const rule = { patience: early_stopping_patience, threshold: early_stopping_threshold };
  return losses.has(step) && earlyStopping(losses, rule).stops;
}

/** Whether a result has what is asked for: all steps or the whole budget, and all tasks. */
function isAnswered({ config, tasks, budgetMs }: WantedRun, result: RunResult): boolean {
  const { status, steps, budget_seconds, eval_items } = result;
  const isTrained = status === "finished"
    ? steps >= config.max_iters || config.early_stopping_patience !== null
    : budget_seconds !== null && budgetMs !== null && budgetMs <= 1_000 * budget_seconds;
  const isMeasured = config.eval_items === 0 ||
    (eval_items === config.eval_items && tasks.every((task) => Object.hasOwn(result.tasks, task)));
  return isTrained && isMeasured;
}
