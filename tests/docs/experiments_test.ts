import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { planSweep } from "../../coordinator/cli/sweep_plan.ts";
import { documentReport } from "../../coordinator/sweep/document_report.ts";
import { placesOf } from "../../coordinator/sweep/fill_document.ts";
import { readResults } from "../../coordinator/sweep/read_results.ts";
import { readSweep } from "../../coordinator/sweep/sweep_file.ts";

const DOCUMENT = fileURLToPath(new URL("../../docs/experiments.md", import.meta.url));
const FOLDER = fileURLToPath(new URL("../../docs/experiments", import.meta.url));
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".toml")).map((name) => join(FOLDER, name));
const MOST_BYTES = 60_000;

const nameOf = (file: string) => basename(file, ".toml");

Deno.test("experiments.md has the report of every sweep, as its results make it, with pictures below 60 KB", async () => {
  const document = await Deno.readTextFile(DOCUMENT);
  assert.deepEqual(placesOf(document).toSorted(), FILES.map(nameOf).toSorted());
  const sweeps = await Promise.all(FILES.map(async (file) => {
    const results = join(FOLDER, nameOf(file));
    return { swept: await readResults(await readSweep(file), { results }), results };
  }));
  const { text, pictures } = documentReport(document, { path: DOCUMENT, sweeps });
  assert.equal(
    text,
    document,
    "run: deno task cli sweep report docs/experiments/*.toml --into=docs/experiments.md",
  );
  for (const [path, svg] of pictures) {
    assert.equal(await Deno.readTextFile(path), svg, path);
    assert.ok(svg.length < MOST_BYTES, `${path} has ${svg.length} bytes`);
  }
});

for (const file of FILES) {
  Deno.test(`the sweep ${nameOf(file)} compares variants of as many parameters with nanoGPT`, async () => {
    const sweep = await readSweep(file);
    assert.equal(sweep.match, "parameters");
    assert.match(sweep.baseline ?? "", /^nanogpt/);
    const runs = await planSweep(sweep, { results: join(FOLDER, nameOf(file)), say: () => {} });
    assert.equal(runs.length, sweep.variants.length * sweep.seeds.length);
    for (const { name, state } of runs) {
      // A clone has no run's folder: what its result does not say is to be trained.
      assert.notEqual(state.kind, "changed", `the result of ${name} is of another configuration`);
    }
  });
}
