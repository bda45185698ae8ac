import { type Chart, type ChartPoint, drawChart } from "../sweep/draw_chart.ts";
import type { DRAWN, ReportedRun } from "./reported_run.ts";

type Column = typeof DRAWN[number];

/** The pictures of a report, as SVG: runs side by side. */
export function reportCharts(runs: readonly ReportedRun[]): string[] {
  const column = (name: Column) => (run: ReportedRun) => columnPoints(run, name);
  const val = ({ estimates }: ReportedRun) => estimates.map(({ step, val }) => point(step, val));
  return [
    chart(runs, { title: "Training loss", yLabel: "loss (nats a token)", pointsOf: column("loss") }),
    chart(runs, { title: "Validation loss", yLabel: "loss (nats a token)", pointsOf: val }),
    chart(runs, { title: "Learning rate", yLabel: "learning rate", pointsOf: column("lr") }),
    chart(runs, { title: "Gradient norm, before clipping", yLabel: "norm", pointsOf: column("grad_norm") }),
    chart(runs, { title: "Speed", yLabel: "tokens a second", pointsOf: column("tokens_per_sec") }),
  ].filter((svg) => svg !== null);
}

/** Null where no run has a point. */
function chart(
  runs: readonly ReportedRun[],
  { title, yLabel, pointsOf }: Pick<Chart, "title" | "yLabel"> & {
    pointsOf(run: ReportedRun): ChartPoint[];
  },
): string | null {
  const series = runs
    .map((run) => ({ name: run.name, points: pointsOf(run).filter(({ y }) => Number.isFinite(y)) }))
    .filter(({ points }) => points.length > 0);
  if (series.length === 0) return null;
  return drawChart({ title, xLabel: "step", yLabel, words: null, series, kind: "curves" });
}

/** Means with the least and the greatest, where a point is several lines. */
function columnPoints({ training: { steps, columns } }: ReportedRun, name: Column): ChartPoint[] {
  const { mean, min = mean, max = mean } = columns[name];
  return steps.map((x, i) => ({ x, y: mean[i] ?? NaN, low: min[i] ?? NaN, high: max[i] ?? NaN }));
}

function point(x: number, y: number): ChartPoint {
  return { x, y, low: y, high: y };
}
