import { compareVariants, type SweepResults } from "./compare_variants.ts";
import { summarizeVariants } from "./summarize_variants.ts";

const COLUMNS = [
  "sweep",
  "task",
  "metric",
  "group",
  "variant",
  "mean",
  "low",
  "high",
  "n",
  "chance",
  "baseline",
  "difference",
  "difference_low",
  "difference_high",
  "difference_n",
  "parameters",
  "steps",
  "flops",
  "hours",
  "finished",
  "stopped",
  "missing",
];

/** What there is of sweeps as CSV (RFC 4180), a row for each metric of each variant, what is not known empty. */
export function reportCsv(sweeps: readonly SweepResults[]): string {
  return [COLUMNS, ...sweeps.flatMap(rowsOf)].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

type Cell = string | number | null;

function rowsOf(swept: SweepResults): Cell[][] {
  const { name, baseline } = swept.sweep;
  const summaries = new Map(summarizeVariants(swept).map((summary) => [summary.variant, summary]));
  return compareVariants(swept).flatMap(({ task, name: metric, group, chance, figures }) =>
    figures.map(({ variant, over, difference }): Cell[] => {
      const cost = summaries.get(variant);
      return [
        ...[name, task, metric, group, variant, over.mean, over.low, over.high, over.n, chance],
        ...[baseline, difference?.mean ?? null, difference?.low ?? null, difference?.high ?? null],
        difference?.n ?? null,
        ...[cost?.parameters ?? null, cost?.steps ?? null, cost?.flops ?? null, cost?.hours ?? null],
        ...[cost?.finished ?? null, cost?.stopped ?? null, cost?.missing ?? null],
      ];
    })
  );
}

function field(value: Cell): string {
  if (value === null || (typeof value === "number" && !Number.isFinite(value))) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
