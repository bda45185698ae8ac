import assert from "node:assert/strict";
import { compareVariants, type SweepResults } from "../../../coordinator/sweep/compare_variants.ts";
import { reportCsv } from "../../../coordinator/sweep/report_csv.ts";
import { reportMarkdown } from "../../../coordinator/sweep/report_markdown.ts";
import { plotsOf } from "../../../coordinator/sweep/report_plots.ts";
import { parseSweep } from "../../../coordinator/sweep/sweep_file.ts";
import { metricOf, resultOf } from "./results.ts";

const SWEEP = parseSweep(
  `
preset = "kv-retrieval"
seeds = [1, 2, 3]
baseline = "one"
match = "parameters"
budget = 30
[[variant]]
name = "one"
[[variant]]
name = "two"
`,
  { source: "depths.toml" },
);

function run(variant: string, seed: number, [loss, exact, near]: readonly [number, number, number]) {
  return resultOf({
    variant,
    seed,
    val_loss: loss,
    parameters: variant === "one" ? 1_000 : 1_010,
    tasks: {
      kv_retrieval: { exact_match: metricOf(exact), "exact_match, distance 1-4": metricOf(near) },
    },
  });
}

const SWEPT: SweepResults = {
  sweep: SWEEP,
  results: [
    run("one", 1, [1.0, 0.5, 0.9]),
    run("two", 1, [0.9, 0.7, 0.8]),
    run("one", 2, [1.2, 0.6, 0.8]),
    { ...run("two", 2, [1.0, 0.9, 0.9]), status: "stopped", steps: 60, date: "2026-11-25T01:00:00.000Z" },
    run("one", 3, [1.1, 0.4, 0.7]),
  ],
};

Deno.test("compareVariants() pairs by seed, with intervals as scipy gives them", () => {
  const [loss, mean, exact, near] = compareVariants(SWEPT);
  assert.deepEqual([mean.task, mean.name, mean.figures[0].over.mean], [null, "mean_val_loss", 2]);
  assert.deepEqual([loss.task, loss.name, loss.group], [null, "val_loss", null]);
  assert.deepEqual([exact.task, exact.name, exact.group, exact.chance], [
    "kv_retrieval",
    "exact_match",
    null,
    0.25,
  ]);
  assert.deepEqual([near.name, near.group], ["exact_match", "distance 1-4"]);
  const [one, two] = loss.figures;
  // scipy.stats.t.interval(0.95, 2, numpy.mean([1, 1.2, 1.1]), scipy.stats.sem([1, 1.2, 1.1]))
  close(one.over, { mean: 1.1, low: 0.8515862, high: 1.3484138, n: 3 });
  assert.equal(one.difference, null);
  // … of [0.9 − 1.0, 1.0 − 1.2]
  close(two.difference, { mean: -0.15, low: -0.7853102, high: 0.4853102, n: 2 });
});

Deno.test("compareVariants() takes the bounds over items where there is one seed only", () => {
  const alone = { ...SWEPT, results: SWEPT.results.slice(0, 2) };
  const [loss, , exact] = compareVariants(alone);
  close(exact.figures[0].over, { mean: 0.5, low: 0.45, high: 0.55, n: 1 });
  assert.deepEqual(loss.figures[0].over, { mean: 1, low: -Infinity, high: Infinity, n: 1 });
});

function close(actual: object | null, expected: object): void {
  const rounded = (value: object | null) =>
    JSON.stringify(value, (_, x) => typeof x === "number" ? Number(x.toFixed(6)) : x);
  assert.equal(rounded(actual), rounded(expected));
}

Deno.test("reportMarkdown() says what each variant cost and how it did, and what is not done", () => {
  assert.equal(
    reportMarkdown(SWEPT),
    `### depths

Seeds 1, 2, 3; means over seeds with their 95 % intervals (Student's t; of a single one, over its items). Differences are to one, paired by seed. Variants are matched by parameters: they are within 1.0 % of each other. A run may train for 30 minutes. Trained on 2 × CPU (onnx on cpu), 2026-11-24 to 2026-11-25, 2.5 hours in all.

| variant | parameters | steps | FLOP a run | hours a run | runs                                          |
| ------- | ---------- | ----- | ---------- | ----------- | --------------------------------------------- |
| one     | 1,000      | 100   | 1.20e+7    | 0.50        | 3 finished                                    |
| two     | 1,010      | 80    | 1.20e+7    | 0.50        | 1 finished, 1 ended by the budget, 1 not done |

| metric                   | chance | variant | mean   | 95 % interval    | n   | less one | 95 % interval    |
| ------------------------ | ------ | ------- | ------ | ---------------- | --- | -------- | ---------------- |
| val_loss                 |        | one     | 1.1000 | 0.8516 … 1.3484  | 3   |          |                  |
|                          |        | two     | 0.9500 | 0.3147 … 1.5853  | 2   | -0.1500  | -0.7853 … 0.4853 |
| mean_val_loss            |        | one     | 2.0000 | 2.0000 … 2.0000  | 3   |          |                  |
|                          |        | two     | 2.0000 | –                | 1   | 0.0000   | –                |
| kv_retrieval exact_match | 0.2500 | one     | 0.5000 | 0.2516 … 0.7484  | 3   |          |                  |
|                          |        | two     | 0.8000 | -0.4706 … 2.0706 | 2   | +0.2500  | -0.3853 … 0.8853 |

| kv_retrieval exact_match | distance 1-4    |
| ------------------------ | --------------- |
| one                      | 0.8000 ± 0.2484 |
| two                      | 0.8500 ± 0.6353 |
`,
  );
  assert.equal(reportMarkdown({ sweep: SWEEP, results: [] }), "### depths\n\nNo run is done.\n");
});

Deno.test("reportCsv() has a row for each metric of each variant, and nothing where nothing is known", () => {
  const lines = reportCsv([SWEPT]).split("\r\n");
  assert.equal(lines.length, 1 + 4 * 2 + 1);
  const columns = lines[0].split(",");
  for (const line of lines.slice(1, -1)) assert.equal(line.split(",").length, columns.length, line);
  const [, lossOfOne, lossOfTwo] = lines;
  assert.match(lossOfOne, /^depths,,val_loss,,one,1\.1.*,3,,one,,,,,1000,100,12000000,0\.5,3,0,0$/);
  assert.match(lossOfTwo, /^depths,,val_loss,,two,0\.95,.*,2,,one,-0\.1\d+,-0\.785\d+,0\.485\d+,2,1010,80,/);
});

Deno.test("plotsOf() draws the loss, each metric, and each metric by group, in well-formed files with few names", () => {
  const plots = plotsOf(SWEPT);
  assert.deepEqual(plots.map(({ file }) => file), [
    "depths-loss.svg",
    "depths-val_loss.svg",
    "depths-mean_val_loss.svg",
    "depths-kv_retrieval-exact_match.svg",
    "depths-kv_retrieval-exact_match-groups.svg",
  ]);
  for (const { svg, file } of plots) {
    const open = [...svg.matchAll(/<(\w+)(?:\s[^>]*[^/])?>/g)].map(([, name]) => name).sort();
    const closed = [...svg.matchAll(/<\/(\w+)>/g)].map(([, name]) => name).sort();
    assert.deepEqual(open, closed, file);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/, file);
    assert.match(svg, />two</, file);
  }
  assert.deepEqual(plotsOf({ sweep: SWEEP, results: [] }), []);
});
