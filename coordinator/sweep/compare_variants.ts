import { type MeanOfRuns, studentInterval } from "../../shared/statistics.ts";
import { meanOverTraining } from "./run_curve.ts";
import type { RunResult, TaskMetrics } from "./run_result.ts";
import type { Sweep } from "./sweep_file.ts";

/** A sweep, and what is there of its runs. */
export interface SweepResults {
  readonly sweep: Sweep;
  /** In the order of the sweep's runs. */
  readonly results: readonly RunResult[];
}

/** A variant's figure over its seeds; of a single one the bounds are those over the items that it was measured by. */
export interface VariantFigure {
  readonly variant: string;
  readonly over: MeanOfRuns;
  /** Less the baseline's, seed by seed; null without a baseline, for itself, and where no seed has both. */
  readonly difference: MeanOfRuns | null;
}

/** One metric of all variants that have it. */
export interface ComparedMetric {
  /** Null for the validation loss: the last, and its mean over training. */
  readonly task: string | null;
  /** Without its group: `exact_match`. */
  readonly name: string;
  /** Which of the items it is about: `distance 1-4`; null for all. */
  readonly group: string | null;
  /** What guessing would give; null where that is not known. */
  readonly chance: number | null;
  readonly figures: readonly VariantFigure[];
}

/** Compares variants in the validation loss and in every metric of every task, in the order of the first result. */
export function compareVariants({ sweep, results }: SweepResults): ComparedMetric[] {
  const metrics = new Map<string, Pick<ComparedMetric, "task" | "name" | "group" | "chance">>(
    Object.keys(LOSSES).map((name) => [`\n${name}`, { task: null, name, group: null, chance: null }]),
  );
  for (const { tasks } of results) {
    for (const [task, found] of Object.entries(tasks)) {
      for (const [metric, { chance }] of Object.entries(found)) {
        const key = `${task}\n${metric}`;
        if (!metrics.has(key)) metrics.set(key, { task, chance, ...partsOf(metric) });
      }
    }
  }
  return [...metrics].map(([key, metric]) => {
    const [task, name] = key.split("\n");
    const measuredBy = (result: RunResult): Measured =>
      metric.task === null
        ? { value: LOSSES[name](result), low: null, high: null }
        : result.tasks[task]?.[name] ?? NOTHING;
    return { ...metric, figures: figuresOf({ sweep, results }, measuredBy) };
  }).filter(({ figures }) => figures.length > 0);
}

const LOSSES: Record<string, (result: RunResult) => number | null> = {
  val_loss: ({ val_loss }) => val_loss,
  // One that its budget ended has less of a curve than the others.
  mean_val_loss: ({ curve, status }) => status === "finished" ? meanOverTraining(curve) : null,
};

/** A run's figure, with its bounds over the items where they are known. */
type Measured = Pick<TaskMetrics[string][string], "value" | "low" | "high">;

const NOTHING: Measured = { value: null, low: null, high: null };

/** `exact_match, distance 1-4` and `repeats_kept_2x` are about a group of the items. */
function partsOf(metric: string): { name: string; group: string | null } {
  const [, name, group] = /^(.+?)(?:, |_(?=\d+x$))(.+)$/.exec(metric) ?? [];
  return name === undefined ? { name: metric, group: null } : { name, group };
}

function figuresOf(
  { sweep: { variants, baseline }, results }: SweepResults,
  measuredBy: (result: RunResult) => Measured,
): VariantFigure[] {
  const bySeed = (variant: string | null) =>
    new Map(
      results.filter((result) => result.variant === variant).flatMap((result) => {
        const { value, ...bounds } = measuredBy(result);
        return value === null ? [] : [[result.seed, { value, ...bounds }]];
      }),
    );
  const standard = bySeed(baseline);
  return variants.flatMap(({ name: variant }) => {
    const found = bySeed(variant);
    if (found.size === 0) return [];
    const differences = variant === baseline ? [] : [...found].flatMap(([seed, { value }]) => {
      const other = standard.get(seed);
      return other === undefined ? [] : [value - other.value];
    });
    const difference = differences.length === 0 ? null : studentInterval(differences);
    return [{ variant, over: meanOf([...found.values()]), difference }];
  });
}

/** The mean over seeds; of a single one the bounds are those over its items. */
function meanOf(found: readonly { value: number; low: number | null; high: number | null }[]): MeanOfRuns {
  const over = studentInterval(found.map(({ value }) => value));
  const [{ low, high }] = found;
  return found.length > 1 ? over : { ...over, low: low ?? over.low, high: high ?? over.high };
}
