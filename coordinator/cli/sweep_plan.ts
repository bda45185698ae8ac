/** What a sweep's file means here: every run's configuration, cost and state. */
import { modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { flopsPerToken } from "../../worker/flops.ts";
import { loadModel } from "../../worker/model/load_model.ts";
import { taskOf } from "../evaluate_task.ts";
import type { Variant } from "../sweep/expand_variants.ts";
import { matchVariants, type VariantCost } from "../sweep/match_variants.ts";
import { readRunState, type RunState } from "../sweep/run_state.ts";
import type { Sweep } from "../sweep/sweep_file.ts";
import { runsOf, type SweepRun } from "../sweep/sweep_runs.ts";
import { keyWord, resolveTrainConfig } from "./resolve_train_config.ts";
import { resolveData } from "./train_run.ts";

/** A run of a sweep, as it is found. */
export interface PlannedRun extends SweepRun {
  readonly sweep: Sweep;
  /** Complete, with what follows from the data, and measured by `tasks`. */
  readonly config: RunConfig;
  readonly tasks: readonly string[];
  /** What `train` is called with, besides where and how it starts. */
  readonly words: readonly string[];
  readonly cost: VariantCost;
  readonly state: RunState;
}

/** A variant, before its runs are looked at. */
interface ResolvedVariant {
  readonly config: RunConfig;
  readonly words: readonly string[];
  readonly cost: VariantCost;
}

export interface PlanOptions {
  /** Where results are kept. */
  readonly results: string;
  /** Tells a person. */
  say(sentence: string): void;
}

/**
 * Resolves every run of a sweep and looks how far it is; text is prepared where that is needed, and nothing else is changed.
 * Throws what `train` would for the configuration, and E_CONFIG for variants that do not match.
 */
export async function planSweep(sweep: Sweep, { results, say }: PlanOptions): Promise<PlannedRun[]> {
  const resolved = new Map<string, ResolvedVariant>();
  for (const variant of sweep.variants) {
    resolved.set(variant.name, await resolveVariant(sweep, variant, { maxIters: null, say }));
  }
  const iters = matchVariants(sweep, new Map([...resolved].map(([name, { cost }]) => [name, cost])));
  for (const variant of sweep.variants) {
    const maxIters = iters.get(variant.name);
    if (maxIters === undefined) continue;
    resolved.set(variant.name, await resolveVariant(sweep, variant, { maxIters, say: () => {} }));
  }
  const planned: PlannedRun[] = [];
  for (const run of runsOf(sweep, { results })) {
    const found = resolved.get(run.variant.name);
    if (found !== undefined) planned.push(await planRun(run, { sweep, ...found }));
  }
  return planned;
}

/** `maxIters` stands above what the variant says. */
async function resolveVariant(
  sweep: Sweep,
  { name, values }: Variant,
  { maxIters, say }: { maxIters: number | null; say: PlanOptions["say"] },
): Promise<ResolvedVariant> {
  const keys = new Map<string, unknown>([["nproc_per_node", 1], ...values]);
  if (maxIters !== null) keys.set("max_iters", maxIters);
  const words = wordsOf(sweep.preset, keys);
  const { config: asked, notes } = await resolveTrainConfig(words, { environment: {}, onlyLooks: true })
    .catch((error) => {
      throw inVariant(name, error);
    });
  for (const note of notes) say(`note ${name}: ${note}`);
  const config = await resolveData(asked);
  const model = await loadModel(modelConfig(config), config.model);
  const { gradient_accumulation_steps: V, batch_size, block_size } = config;
  const cost = {
    parameters: model.size,
    flopsPerToken: flopsPerToken(model.config, model.parameters, block_size),
    tokensPerStep: V * batch_size * block_size,
    maxIters: config.max_iters,
    isFixed: values.has("max_iters") && !isOfAll(sweep, "max_iters"),
  };
  return { config, words, cost };
}

/** Whether all variants set the key to the same. */
function isOfAll({ variants }: Sweep, key: string): boolean {
  return new Set(variants.map(({ values }) => JSON.stringify(values.get(key)))).size === 1;
}

/** The model's preset comes first: whatever else a sweep sets stands above it. */
function wordsOf(preset: string, values: ReadonlyMap<string, unknown>): string[] {
  const keys = [...values].sort(([a], [b]) => Number(b === "model") - Number(a === "model"));
  return [preset, ...keys.map(([key, value]) => keyWord(key, value))];
}

async function planRun(
  run: SweepRun,
  { sweep, config: ofVariant, words, cost }: ResolvedVariant & { sweep: Sweep },
): Promise<PlannedRun> {
  const config = { ...ofVariant, seed: run.seed };
  const tasks = config.eval_items === 0
    ? []
    : [...new Set(sweep.tasks.map((task) => task === "own" ? taskOf(config) : task))];
  const state = await readRunState({ ...run, config, tasks, budgetMs: sweep.budgetMs });
  return { ...run, sweep, config, tasks, words: [...words, keyWord("seed", run.seed)], cost, state };
}

function inVariant(name: string, error: unknown): unknown {
  if (!(error instanceof LockstepError)) return error;
  return new LockstepError(error.code, `Cannot run the variant ${name}: ${error.message}`, { cause: error });
}
