import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { documentReport } from "../../coordinator/sweep/document_report.ts";
import { placesOf } from "../../coordinator/sweep/fill_document.ts";
import { readResults } from "../../coordinator/sweep/read_results.ts";
import { readSweep } from "../../coordinator/sweep/sweep_file.ts";
import { sandbox } from "../integration/support.ts";

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

/** Questions as they are published, one or two of each. */
const QUESTIONS: Record<string, string> = {
  "arc_easy/ARC-Easy-Train.jsonl": arcEasyLine("Why?"),
  "arc_easy/ARC-Easy-Dev.jsonl": arcEasyLine("When?"),
  "arc_easy/ARC-Easy-Test.jsonl": arcEasyLine("Where?"),
  "babi/qa1_single-supporting-fact_train.txt": Array.from(
    { length: 20 },
    (_, i) => `1 Ann went ${i}.\n2 Where? \t${i % 2 === 0 ? "in" : "out"}\t1\n`,
  ).join(""),
  "babi/qa1_single-supporting-fact_test.txt": "1 Bob went in.\n2 Where is Bob? \tin\t1\n",
  "glue/cola/in_domain_train.tsv": "gj04\t0\t*\tThe the.\n",
  "glue/cola/in_domain_dev.tsv": "gj04\t1\t\tSo it goes.\n",
  "glue/cola/out_of_domain_dev.tsv": "gj04\t1\t\tIt goes.\n",
};

function arcEasyLine(stem: string): string {
  const choices = [{ text: "So", label: "A" }, { text: "No", label: "B" }];
  return JSON.stringify({ question: { stem, choices }, answerKey: "B" }) + "\n";
}

Deno.test("every sweep of docs/experiments compares variants of as many parameters with nanoGPT, and has no result of another configuration", async () => {
  await using box = await sandbox();
  for (const [name, text] of Object.entries(QUESTIONS)) {
    await Deno.mkdir(box.path("questions", name, ".."), { recursive: true });
    await Deno.writeTextFile(box.path("questions", name), text);
  }
  for (const file of FILES) {
    const sweep = await readSweep(file);
    assert.equal(sweep.match, "parameters", file);
    assert.match(sweep.baseline ?? "", /^nanogpt/, file);
    const { code, out, err } = await box.run(["sweep", file, "--dry-run", "--task_data=questions"]);
    assert.equal(code, 0, `${file}: ${err}`);
    const rows = out.trimEnd().split("\n").filter((line) => /-s\d+ /.test(line));
    assert.equal(rows.length, sweep.variants.length * sweep.seeds.length, out);
    assert.doesNotMatch(out, /changed:/, file);
  }
});
