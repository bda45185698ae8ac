import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import {
  type EngineColumn,
  listCases,
  printTable,
  type TimedVerdict,
} from "../../../coordinator/cli/verify_cases.ts";
import { copiedFixture } from "../../fixtures.ts";
import { sandbox } from "../../integration/support.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const TINY = copiedFixture("nanogpt-tiny");

Deno.test("listCases() takes a case as it stands, and a folder of cases for all of them, sorted", async () => {
  assert.deepEqual(await listCases([TINY]), [TINY]);
  const all = (await listCases([dirname(TINY)])).map((path) => basename(path));
  assert.ok(all.includes("nanogpt-tiny") && all.includes("router-bias"));
  assert.deepEqual(all, all.toSorted());
  await inTempDir(async (dir) => assert.deepEqual(await listCases([dir, TINY]), [dir, TINY]));
  assert.deepEqual(await listCases(["./nowhere"]), ["./nowhere"]);
});

Deno.test("printTable() shows differences and times, failures, and what was not run with its reason", () => {
  const verdict = (name: string, engine: string, pass: boolean): [string, TimedVerdict] => [
    name,
    { case: name, engine, pass, worst: { grads: 1.84e-7 }, seconds: 1.25 },
  ];
  const columns: EngineColumn[] = [
    {
      engine: "onnx",
      verdicts: new Map([verdict("a", "onnx", true), verdict("b", "onnx", false)]),
      problem: null,
    },
    { engine: "xla", verdicts: new Map([verdict("a", "xla", true)]), problem: "it fell" },
  ];
  const text = printTable(["x/a", "x/b"], columns, { date: "2026-01-02", machine: "a machine" });
  assert.equal(
    text,
    [
      "2026-01-02, a machine. Each cell: the largest difference of a gradient, and the time for the whole case.",
      "",
      "| case | `onnx`               | `xla`         |",
      "| ---- | -------------------- | ------------- |",
      "| `a`  | 1.8e-7, 1.3 s        | 1.8e-7, 1.3 s |",
      "| `b`  | FAILED 1.8e-7, 1.3 s | not run       |",
      "",
      "`xla`: it fell",
    ].join("\n"),
  );
});

Deno.test("verify --markdown verifies each engine in a process of its own; one that cannot be used ends with status 1", async () => {
  await using box = await sandbox();
  const words = ["verify", TINY, "--markdown"];
  const { code, out } = await box.run([...words, "--engine=onnx,reference"]);
  assert.equal(code, 0, out);
  assert.match(out, /\| `nanogpt-tiny` \| \d\.\de-\d+, \d+\.\d s +\| \d\.\de-\d+, \d+\.\d s +\|/);
  const unknown = await box.run([...words, `--engine=onnx,${join(box.dir, "none.ts")}`]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.out, /not run[^]*E_ENGINE.*none\.ts/);
  const two = await box.run(["verify", TINY, "--engine=onnx,reference"]);
  assert.deepEqual([two.code, two.err.includes("--markdown")], [2, true]);
});
