import { basename } from "node:path";
import { commandLine } from "../../shared/command_line.ts";
import { escapeXml } from "../../shared/svg.ts";
import { quoteWords } from "../launch/quote_words.ts";
import type { ReportedRun } from "./reported_run.ts";
import { reportCharts } from "./report_charts.ts";

/** Nothing is loaded or run, whatever a run has written. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE = `
:root { color-scheme: light dark; --line: #8888; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
pre { border: 1px solid var(--line); border-radius: 4px; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; margin: 0; max-width: none; }
  h2, h3 { break-after: avoid; }
  svg, tr, figure { break-inside: avoid; }
  table { display: table; }
}
`;

/** One HTML file about runs that needs nothing else: no script, no request; all that runs have written is escaped. */
export function reportHtml(runs: readonly ReportedRun[], { created }: { created: string }): string {
  const title = runs.map(({ name }) => name).join(", ");
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width">',
    `<title>${escapeXml(title)}</title><style>${STYLE}</style></head><body><main>`,
    `<h1>${escapeXml(title)}</h1>`,
    `<p>Made by Lockstep, ${escapeXml(created)}.</p>`,
    overview(runs),
    "<h2>Curves</h2>",
    ...reportCharts(runs).map((svg) => `<figure>${svg}</figure>`),
    evaluations(runs),
    ...runs.flatMap(samples),
    differences(runs),
    ...runs.flatMap(howToRepeat),
    "</main></body></html>",
    "",
  ].join("\n");
}

function overview(runs: readonly ReportedRun[]): string {
  const last = ({ estimates }: ReportedRun) => estimates.at(-1);
  return "<h2>Runs</h2>" + compare(runs, [
    ["data set", ({ config }) => String(config.get("dataset"))],
    ["steps", ({ newest }) => String(newest.step)],
    ["training loss", (run) => shown(last(run)?.train)],
    ["validation loss", (run) => shown(last(run)?.val)],
    [
      "lowest, at a checkpoint",
      ({ newest, bestStep }) =>
        bestStep === null ? "–" : `${shown(newest.best_val_loss ?? undefined)} (step ${bestStep})`,
    ],
    ["seed", ({ config }) => String(config.get("seed"))],
    ["engine", ({ manifest: { numerics } }) => `${numerics.engine} on ${numerics.device}`],
    ["threads of a worker", ({ manifest: { numerics } }) => String(numerics.threads)],
    ["machine", ({ manifest }) => manifest.machine ?? "not kept"],
    ["started", ({ manifest }) => manifest.created],
  ]);
}

/** A row a figure, `–` where a run was not asked. */
function evaluations(runs: readonly ReportedRun[]): string {
  const isBound = /_(low|high)$/;
  const names = new Set(
    runs.flatMap(({ evals }) =>
      evals.flatMap(({ task, metrics }) =>
        Object.keys(metrics).filter((name) => !isBound.test(name)).map((name) => JSON.stringify([task, name]))
      )
    ),
  );
  if (names.size === 0) return "";
  const rows = [...names].map((key): Row => {
    const [task, name]: [string, string] = JSON.parse(key);
    return [`${task} ${name}`, ({ evals }) => {
      const line = evals.find((line) => line.task === task);
      if (line?.metrics[name] === undefined) return "–";
      const { [name]: value, [`${name}_low`]: low, [`${name}_high`]: high } = line.metrics;
      const interval = typeof low === "number" ? ` (${shown(low)} … ${shown(high ?? NaN)})` : "";
      return `${shown(value ?? NaN)}${interval}, step ${line.step}`;
    }];
  });
  return `<h2>Evaluations</h2><p>The last of each task, with 95 % intervals.</p>${compare(runs, rows)}`;
}

function samples({ name, samples }: ReportedRun): string[] {
  if (samples.length === 0) return [];
  return [
    `<h2>Samples of ${escapeXml(name)}</h2>`,
    ...samples.map(({ step, prompt, text }) =>
      `<p>After ${step} steps:</p><pre><b>${escapeXml(prompt)}</b>${escapeXml(text)}</pre>`
    ),
  ];
}

/** Keys in which runs differ. */
function differences(runs: readonly ReportedRun[]): string {
  if (runs.length < 2) return "";
  const keys = [...new Set(runs.flatMap(({ config }) => [...config.keys()]))];
  const valueOf = ({ config }: ReportedRun, key: string) => JSON.stringify(config.get(key)) ?? "–";
  const differing = keys.filter((key) => new Set(runs.map((run) => valueOf(run, key))).size > 1);
  const rows = differing.map((key): Row => [key, (run) => valueOf(run, key)]);
  return `<h2>Where the configurations differ</h2>${compare(runs, rows)}`;
}

function howToRepeat(run: ReportedRun): string[] {
  const { name, path, manifest, newest, configText } = run;
  const { versions, git_revision, numerics, config_hash, run_id } = manifest;
  const hashes: [string, string][] = [
    ...Object.entries(versions),
    ["git revision", git_revision ?? "not known"],
    ["run", run_id],
    ["configuration (config_hash)", config_hash],
    ["traced step (graph)", numerics.graph ?? "runs eagerly"],
    ...Object.entries(numerics.data).map(([file, hash]): [string, string] => [`data: ${file}`, hash]),
    ...Object.entries(newest.files).map(([file, { sha256 }]): [string, string] => [
      `step ${newest.step}: ${file}`,
      sha256,
    ]),
  ];
  return [
    `<h2>How to repeat ${escapeXml(name)}</h2>`,
    `<pre>${escapeXml(repeatCommand(run))}</pre>`,
    `<p>with the program and packages of these versions and <code>${
      escapeXml(path)
    }/config.toml</code> as below; ` +
    `the same engine on the same kind of device gives the same bytes for any number of workers.</p>`,
    table([["what", "version, or SHA-256"], ...hashes]),
    `<h3>config.toml</h3><pre>${escapeXml(configText)}</pre>`,
  ];
}

/** What a person types to make the run again: to the same step, along the same curve of the learning rate. */
export function repeatCommand({ path, name, newest, config }: ReportedRun): string {
  const maxIters = Number(config.get("max_iters"));
  const isCut = newest.step < maxIters && config.get("early_stopping_patience") === null;
  const decayIters = config.get("lr_decay_iters") ?? maxIters;
  const words = [
    `${path}/config.toml`,
    ...(isCut ? [`--max_iters=${newest.step}`, `--lr_decay_iters=${decayIters}`] : []),
    `--out_dir=out/${basename(name)}-again`,
  ];
  return commandLine(quoteWords(["train", ...words]));
}

/** What stands before a row, and its cell of a run. */
type Row = readonly [string, (run: ReportedRun) => string];

function compare(runs: readonly ReportedRun[], rows: readonly Row[]): string {
  return table([
    ["", ...runs.map(({ name }) => name)],
    ...rows.map(([name, cell]) => [name, ...runs.map(cell)]),
  ]);
}

function table([head, ...rows]: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], kind: "th" | "td") =>
    row.map((text, i) =>
      i === 0 || kind === "th"
        ? `<th scope="${kind === "th" ? "col" : "row"}">${escapeXml(text)}</th>`
        : `<td>${escapeXml(text)}</td>`
    ).join("");
  const body = rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("\n");
  return `<table><thead><tr>${cells(head, "th")}</tr></thead><tbody>\n${body}\n</tbody></table>`;
}

function shown(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? "–" : String(Number(value.toPrecision(5)));
}
