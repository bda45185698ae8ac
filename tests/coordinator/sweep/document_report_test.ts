import assert from "node:assert/strict";
import { documentReport } from "../../../coordinator/sweep/document_report.ts";
import { parseSweep } from "../../../coordinator/sweep/sweep_file.ts";
import { metricOf, resultOf } from "./results.ts";

const sweepOf = (name: string) =>
  parseSweep('preset = "sort-demo"\n', { source: `docs/sweeps/${name}.toml` });

const DEPTHS = {
  swept: {
    sweep: sweepOf("depths"),
    results: [resultOf({
      variant: "default",
      seed: 1337,
      tasks: {
        sort: {
          exact_match: metricOf(0.5),
          "exact_match, length 4": metricOf(0.6),
          token_accuracy: metricOf(0.9),
        },
      },
    })],
  },
  results: "docs/sweeps/depths",
};

const place = (name: string, report: string) =>
  `<!-- report of ${name} -->\n<!-- deno-fmt-ignore-start -->\n${report}<!-- deno-fmt-ignore-end -->\n`;

Deno.test("documentReport() makes a report anew in its place, with its main pictures, and leaves all else as it is", () => {
  const document = `# Depths\n\n${place("depths", "\nold\n\n")}\nAnd:\n\n${place("widths", "kept\n")}`;
  const { text, pictures } = documentReport(document, { path: "docs/all.md", sweeps: [DEPTHS] });
  const [before, report, after] = text.split(/^<!-- deno-fmt-ignore-(?:start|end) -->\n(?=\n)/m);
  assert.equal(before, "# Depths\n\n<!-- report of depths -->\n");
  assert.match(report, /^\nSeed 1337; .*\n\n\| variant .*\| sort exact_match/s);
  assert.match(report, /0\.5 hours in all/);
  assert.doesNotMatch(report, /old/);
  assert.equal(after, `\nAnd:\n\n${place("widths", "kept\n")}`);
  const shown = [...report.matchAll(/!\[.+?\]\((.+?)\)/g)].map(([, path]) => `docs/${path}`);
  assert.deepEqual(shown, [
    "docs/sweeps/depths/depths-loss.svg",
    "docs/sweeps/depths/depths-sort-exact_match.svg",
    "docs/sweeps/depths/depths-sort-exact_match-groups.svg",
  ]);
  assert.deepEqual([...pictures.keys()], shown);
  assert.deepEqual(documentReport(text, { path: "docs/all.md", sweeps: [DEPTHS] }).text, text);
});

Deno.test("documentReport() says that no run is done, and refuses a document without a place", () => {
  const sweeps = [{ swept: { sweep: sweepOf("widths"), results: [] }, results: "docs/sweeps/widths" }];
  const { text, pictures } = documentReport(place("widths", ""), { path: "docs/all.md", sweeps });
  assert.equal(text, place("widths", "\nNo run is done.\n\n"));
  assert.equal(pictures.size, 0);
  assert.throws(() => documentReport("# All\n", { path: "docs/all.md", sweeps }), {
    code: "E_USAGE",
    message:
      "Cannot put the report of widths into docs/all.md as it must have a place for it: write the lines " +
      "<!-- report of widths -->, <!-- deno-fmt-ignore-start -->, <!-- deno-fmt-ignore-end -->",
  });
});
