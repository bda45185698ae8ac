import type { MeanOfRuns } from "../../shared/statistics.ts";
import { type ComparedMetric, compareVariants, type SweepResults } from "./compare_variants.ts";
import type { Match } from "./sweep_file.ts";
import { summarizeVariants } from "./summarize_variants.ts";

/** What there is of a sweep as Markdown, under its name. */
export function reportMarkdown(swept: SweepResults): string {
  return `### ${swept.sweep.name}\n\n${reportTables(swept)}`;
}

/** What each variant cost, and how it did in each metric. */
export function reportTables(swept: SweepResults): string {
  if (swept.results.length === 0) return "No run is done.\n";
  const metrics = compareVariants(swept);
  const byName = Map.groupBy(
    metrics.filter(({ group }) => group !== null),
    ({ task, name }) => `${task} ${name}`,
  );
  return [
    describeSweep(swept),
    costTable(swept),
    metricTable(swept, metrics.filter(({ group }) => group === null)),
    ...[...byName].map(([name, groups]) => groupTable(name, groups)),
  ].join("\n\n") + "\n";
}

function describeSweep(swept: SweepResults): string {
  const { sweep, results } = swept;
  const { seeds, baseline, match, budgetMs } = sweep;
  const hours = results.reduce((sum, { seconds }) => sum + seconds / 3_600, 0);
  const dates = results.map(({ date }) => date.slice(0, 10)).sort();
  const machines = [
    ...new Set(results.map(({ machine, engine, device }) => `${machine} (${engine} on ${device})`)),
  ];
  return [
    seeds.length === 1
      ? `Seed ${seeds[0]}; 95 % intervals are over the items of its tasks.`
      : `Seeds ${
        seeds.join(", ")
      }; means over seeds with their 95 % intervals (Student's t; of a single one, over its items).`,
    ...(baseline === null ? [] : [`Differences are to ${baseline}, paired by seed.`]),
    ...(match === null ? [] : [
      `Variants are matched by ${match === "flops" ? "FLOPs" : match}: they are within ${
        (100 * spreadOf(swept, match)).toFixed(1)
      } % of each other.`,
    ]),
    ...(budgetMs === null
      ? []
      : [`A run may train for ${(budgetMs / 60_000).toLocaleString("en-US")} minutes.`]),
    `Trained on ${machines.join("; ")}, ${[...new Set([dates[0], dates.at(-1)])].join(" to ")}, ${
      hours.toFixed(1)
    } hours in all.`,
  ].join(" ");
}

/** By which share the largest variant is above the smallest. */
function spreadOf(swept: SweepResults, match: Match): number {
  const sizes = summarizeVariants(swept).map((summary) => summary[match]);
  return Math.max(...sizes) / Math.min(...sizes) - 1;
}

function costTable(swept: SweepResults): string {
  const rows = summarizeVariants(swept).map((row) => [
    row.variant,
    Math.round(row.parameters).toLocaleString("en-US"),
    Math.round(row.steps).toLocaleString("en-US"),
    row.flops.toExponential(2),
    row.hours.toFixed(2),
    [[row.finished, "finished"], [row.stopped, "ended by the budget"], [row.missing, "not done"]]
      .filter(([count]) => count !== 0).map((words) => words.join(" ")).join(", "),
  ]);
  return table(["variant", "parameters", "steps", "FLOP a run", "hours a run", "runs"], rows);
}

function metricTable({ sweep: { baseline } }: SweepResults, metrics: readonly ComparedMetric[]): string {
  const rows = metrics.flatMap(({ task, name, chance, figures }) =>
    figures.map(({ variant, over, difference }, i) => [
      i === 0 ? [task, name].filter((part) => part !== null).join(" ") : "",
      i === 0 && chance !== null ? number(chance) : "",
      variant,
      number(over.mean),
      interval(over),
      String(over.n),
      ...(baseline === null
        ? []
        : [difference === null ? "" : signed(difference.mean), interval(difference)]),
    ])
  );
  const compared = baseline === null ? [] : [`less ${baseline}`, "95 % interval"];
  return table(["metric", "chance", "variant", "mean", "95 % interval", "n", ...compared], rows);
}

/** A row a variant, a column a group. */
function groupTable(title: string, groups: readonly ComparedMetric[]): string {
  const variants = [...new Set(groups.flatMap(({ figures }) => figures.map(({ variant }) => variant)))];
  const rows = variants.map((variant) => [
    variant,
    ...groups.map(({ figures }) => {
      const over = figures.find((figure) => figure.variant === variant)?.over;
      if (over === undefined) return "";
      const isEven = over.n > 1; // of a single seed the bounds over items are not
      return isEven ? `${number(over.mean)} ± ${number(over.high - over.mean)}` : number(over.mean);
    }),
  ]);
  return table([title, ...groups.map(({ group }) => group ?? "")], rows);
}

function interval(over: MeanOfRuns | null): string {
  if (over === null) return "";
  return Number.isFinite(over.low) ? `${number(over.low)} … ${number(over.high)}` : "–";
}

function signed(x: number): string {
  return `${x > 0 ? "+" : ""}${number(x)}`;
}

function number(x: number): string {
  if (Math.abs(x) >= 1_000) return x.toPrecision(5);
  return x !== 0 && Math.abs(x) < 1e-4 ? x.toExponential(1) : x.toFixed(4);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...rows].map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
