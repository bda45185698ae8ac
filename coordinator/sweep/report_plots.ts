import { type ComparedMetric, compareVariants, type SweepResults } from "./compare_variants.ts";
import { type Chart, drawChart } from "./draw_chart.ts";
import type { RunResult } from "./run_result.ts";

/** A picture of a sweep. */
export interface Plot {
  /** The name of its file, without a folder. */
  readonly file: string;
  readonly title: string;
  /** The metric that it shows, `sort exact_match`; null for the curves of training. */
  readonly metric: string | null;
  readonly svg: string;
}

/** The plots of a sweep: the validation loss over steps, each metric of each variant, and those of groups of items. */
export function plotsOf(swept: SweepResults): Plot[] {
  const { sweep: { name: sweep }, results } = swept;
  if (results.length === 0) return [];
  const metrics = compareVariants(swept);
  const plot = (chart: Chart, metric: string | null, ...more: readonly string[]): Plot => ({
    file: `${
      [sweep, ...metric?.split(" ") ?? [], ...more].join("-").replaceAll(/[^A-Za-z0-9._-]+/g, "_")
    }.svg`,
    title: chart.title,
    metric,
    svg: drawChart(chart),
  });
  const whole = metrics.filter(({ group }) => group === null);
  const grouped = Map.groupBy(
    metrics.filter(({ group }) => group !== null),
    ({ task, name }) => `${task} ${name}`,
  );
  return [
    plot(lossChart(swept), null, "loss"),
    ...whole.map((metric) => plot(metricChart(sweep, metric), titleOf(metric))),
    ...[...grouped].map(([name, groups]) => plot(groupChart(sweep, groups), name, "groups")),
  ];
}

/** The plots that say most: the curves of training, and the first metric of the first task, also by group. */
export function mainPlotsOf(swept: SweepResults): Plot[] {
  const first = compareVariants(swept).find(({ task }) => task !== null);
  const title = first === undefined ? null : titleOf(first);
  return plotsOf(swept).filter(({ metric }) => metric === null || metric === title);
}

/** Validation loss by step: the mean over seeds, and a band from the lowest to the highest of them. */
function lossChart({ sweep: { name, variants }, results }: SweepResults): Chart {
  const series = variants.flatMap(({ name: variant }) => {
    const points = lossPoints(results.filter((result) => result.variant === variant));
    return points.length === 0 ? [] : [{ name: variant, points }];
  });
  return {
    title: `${name}: validation loss, mean and range over seeds`,
    xLabel: "training step",
    yLabel: "validation loss (nats a token)",
    words: null,
    series,
    kind: "curves",
  };
}

function lossPoints(results: readonly RunResult[]) {
  const bySteps = new Map<number, number[]>();
  for (const { curve: { step, val_loss } } of results) {
    for (const [i, at] of step.entries()) {
      const loss = val_loss[i];
      if (loss !== null) bySteps.set(at, [...bySteps.get(at) ?? [], loss]);
    }
  }
  return [...bySteps].sort(([a], [b]) => a - b).map(([x, losses]) => ({
    x,
    y: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    low: Math.min(...losses),
    high: Math.max(...losses),
  }));
}

/** A point a variant. */
function metricChart(sweep: string, metric: ComparedMetric): Chart {
  const { figures } = metric;
  return {
    title: `${sweep}: ${titleOf(metric)}, mean with its 95 % interval`,
    xLabel: "variant",
    yLabel: unitOf(metric),
    words: figures.map(({ variant }) => variant),
    series: [{
      name: titleOf(metric),
      points: figures.map(({ over: { mean, low, high } }, x) => ({ x, y: mean, low, high })),
    }],
    kind: "points",
  };
}

/** A line a variant, over the groups. */
function groupChart(sweep: string, groups: readonly ComparedMetric[]): Chart {
  const variants = [...new Set(groups.flatMap(({ figures }) => figures.map(({ variant }) => variant)))];
  const series = variants.map((name) => ({
    name,
    points: groups.flatMap(({ figures }, x) => {
      const over = figures.find(({ variant }) => variant === name)?.over;
      return over === undefined ? [] : [{ x, y: over.mean, low: over.low, high: over.high }];
    }),
  }));
  return {
    title: `${sweep}: ${titleOf(groups[0])} by group, mean with its 95 % interval`,
    xLabel: "group of items",
    yLabel: unitOf(groups[0]),
    words: groups.map(({ group }) => group ?? ""),
    series,
    kind: "lines",
  };
}

function titleOf({ task, name }: ComparedMetric): string {
  return task === null ? name : `${task} ${name}`;
}

/** Shares have none. */
function unitOf({ name }: ComparedMetric): string {
  if (/loss|difference/.test(name)) return `${name} (nats)`;
  return /perplexity|matthews/.test(name) ? name : `${name} (share of items)`;
}
