/** What a sweep's file means here: every run's configuration, cost and state. */
import { dirname, join } from "node:path";
import { modelConfig } from "../../shared/config/model_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { flattenValues } from "../../shared/config/key_values.ts";
import { LockstepError } from "../../shared/errors.ts";
import { flopsPerToken } from "../../worker/flops.ts";
import { loadModel } from "../../worker/model/load_model.ts";
import { taskOf } from "../evaluate_task.ts";
import type { Variant } from "../sweep/expand_variants.ts";
import { matchVariants, type VariantCost } from "../sweep/match_variants.ts";
import { readRunState, type RunState } from "../sweep/run_state.ts";
import { readSweep, type Sweep } from "../sweep/sweep_file.ts";
import { runsOf, type SweepRun } from "../sweep/sweep_runs.ts";
import { keyWord, resolveTrainConfig } from "./resolve_train_config.ts";
import { resolveData } from "./train_run.ts";

/** A run of a sweep, as it is found. */
export interface PlannedRun extends SweepRun {
  readonly sweep: Sweep;
  /** The run whose weights it starts from; null for new ones. */
  readonly from: PlannedRun | null;
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
  /** The folder of the questions, whatever the file says; null for what it says. */
  readonly taskData: string | null;
  /** The sweeps whose runs start from this one's. */
  readonly chain?: readonly string[];
  /** Tells a person. */
  say(sentence: string): void;
}

/**
 * Resolves every run of a sweep and looks how far it is; text is prepared where that is needed, and nothing else is changed.
 * Throws what `train` would for the configuration, and E_CONFIG for variants that do not match.
 */
export async function planSweep(sweep: Sweep, options: PlanOptions): Promise<PlannedRun[]> {
  const started = await planStarts(sweep, options);
  const resolved = new Map<string, ResolvedVariant>();
  const resolve = async (variant: Variant, asked: { maxIters: number | null; say: PlanOptions["say"] }) => {
    const from = started?.find((run) => run.variant.name === variant.name)?.config ?? null;
    resolved.set(variant.name, await resolveVariant(sweep, variant, { ...options, from, ...asked }));
  };
  for (const variant of sweep.variants) await resolve(variant, { maxIters: null, say: options.say });
  const iters = matchVariants(sweep, new Map([...resolved].map(([name, { cost }]) => [name, cost])));
  for (const variant of sweep.variants) {
    const maxIters = iters.get(variant.name);
    if (maxIters !== undefined) await resolve(variant, { maxIters, say: () => {} });
  }
  const planned: PlannedRun[] = [];
  for (const run of runsOf(sweep, options)) {
    const found = resolved.get(run.variant.name);
    const from = started?.find(({ name }) => name === run.name) ?? null;
    if (found !== undefined) planned.push(await planRun(run, { sweep, from, ...found }));
  }
  return planned;
}

/** The runs of another sweep whose weights this one's start from, in this one's order; null for new weights. */
async function planStarts(sweep: Sweep, { taskData, chain = [] }: PlanOptions): Promise<PlannedRun[] | null> {
  const { name, from } = sweep;
  if (from === null) return null;
  const refuse = (reason: string) =>
    new LockstepError("E_CONFIG", `Cannot run the sweep ${name} from the weights of ${from} as ${reason}`);
  if (chain.includes(from)) throw refuse("that one starts from this one");
  const other = await readSweep(from);
  const results = join(dirname(from), other.name);
  const runs = await planSweep(other, { results, taskData, chain: [...chain, from], say: () => {} });
  return runsOf(sweep, { results }).map((run) => {
    const found = runs.find(({ name }) => name === run.name);
    if (found === undefined) {
      throw refuse(`it has no run ${run.name}: its runs are ${runs.map(({ name }) => name).join(", ")}`);
    }
    return found;
  });
}

interface ResolveVariantOptions extends Pick<PlanOptions, "taskData" | "say"> {
  /** The configuration of the run whose weights it starts from. */
  readonly from: RunConfig | null;
  /** Stands above what the variant says. */
  readonly maxIters: number | null;
}

async function resolveVariant(
  sweep: Sweep,
  { name, values }: Variant,
  { from, taskData, maxIters, say }: ResolveVariantOptions,
): Promise<ResolvedVariant> {
  const inherited = from === null ? [] : inheritedKeys(from);
  const keys = new Map<string, unknown>([["nproc_per_node", 1], ...inherited, ...values]);
  if (taskData !== null) keys.set("task_data", taskData);
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

/** What goes with weights: their model and their tokens. */
function inheritedKeys(config: RunConfig): [string, unknown][] {
  const { dropout: _dropout, reflex, ...numbers } = modelConfig(config);
  const { model, data_dir } = config;
  const keys = { model, data_dir, ...numbers, ...(reflex === null ? {} : { reflex }) };
  return [...flattenValues(keys, "the configuration")];
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
  { sweep, from, config: ofVariant, words, cost }: ResolvedVariant & Pick<PlannedRun, "sweep" | "from">,
): Promise<PlannedRun> {
  const own = { seed: run.seed, ...(from === null ? {} : { init_from: from.folder }) };
  const config = { ...ofVariant, ...own };
  const tasks = config.eval_items === 0
    ? []
    : [...new Set(sweep.tasks.map((task) => task === "own" ? taskOf(config) : task))];
  const state = await readRunState({ ...run, config, tasks, budgetMs: sweep.budgetMs });
  const ownWords = Object.entries(own).map(([key, value]) => keyWord(key, value));
  return { ...run, sweep, from, config, tasks, words: [...words, ...ownWords], cost, state };
}

function inVariant(name: string, error: unknown): unknown {
  if (!(error instanceof LockstepError)) return error;
  return new LockstepError(error.code, `Cannot run the variant ${name}: ${error.message}`, { cause: error });
}
