import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { summarize, testCommand } from "./run.ts";

const RUNNER = fileURLToPath(new URL("./run.ts", import.meta.url));

/** Runs the test command on one file with the given text; gives its last lines and its exit status. */
async function runOn(source: string, ...words: string[]): Promise<{ lines: string[]; code: number }> {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-run-"));
  try {
    const path = join(folder, "some_test.ts");
    writeFileSync(path, source);
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", RUNNER, path, ...words] });
    const { code, stdout } = await command.output();
    return { lines: new TextDecoder().decode(stdout).trimEnd().split("\n"), code };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("testCommand() runs all tests and examples without the long ones", () => {
  const { args, jobs } = testCommand([]);
  assert.equal(jobs, 1);
  assert.deepEqual(args.slice(0, 4), ["-A", "--doc", "--ignore=tests/long", "tests"]);
  assert.ok(args.includes("shared"));
});

Deno.test("testCommand() takes paths, titles, options and the number of jobs", () => {
  const { args, jobs } = testCommand(["tests/run.ts", "parse()", "a/b", "--jobs=2", "--fail-fast"]);
  assert.equal(jobs, 2);
  assert.deepEqual(args, ["-A", "--parallel", "--filter=/parse\\(\\)|a\\/b/", "--fail-fast", "tests/run.ts"]);
  assert.deepEqual(testCommand(["--long"]).args, ["-A", "tests/long"]);
});

Deno.test("summarize() fails a crash and a run of nothing, and passes a run of passes", () => {
  const passed = { passed: ["a"], failed: [], skipped: ["b (skipped: no GPU)"] };
  assert.deepEqual(summarize(passed, 0), {
    lines: ["skipped: b (skipped: no GPU)", "1 passed, 0 failed, 1 skipped"],
    exitCode: 0,
  });
  assert.equal(summarize(passed, 1).lines.at(-1), "1 passed, 1 failed, 1 skipped");
  assert.equal(summarize(passed, 1).exitCode, 1);
  assert.deepEqual(summarize({ passed: [], failed: [], skipped: [] }, 0), {
    lines: ["failed: no test ran", "0 passed, 1 failed, 0 skipped"],
    exitCode: 1,
  });
});

Deno.test("run.ts ends with the sum of a real run and its status", async () => {
  const mixed = await runOn(`
    Deno.test("one passes", () => {});
    Deno.test("two fails", () => { throw new Error("no"); });
    Deno.test({ name: "three (skipped: no GPU)", ignore: true, fn() {} });
  `);
  assert.deepEqual(mixed.lines.slice(-2), [
    "skipped: three (skipped: no GPU)",
    "1 passed, 1 failed, 1 skipped",
  ]);
  assert.equal(mixed.code, 1);

  const filtered = await runOn(
    `
    Deno.test("one passes", () => {});
    Deno.test("two fails", () => { throw new Error("no"); });
  `,
    "one",
  );
  assert.equal(filtered.lines.at(-1), "1 passed, 0 failed, 0 skipped");
  assert.equal(filtered.code, 0);

  const crashed = await runOn(`throw new Error("at the top");`);
  assert.equal(crashed.lines.at(-1), "0 passed, 1 failed, 0 skipped");
  assert.equal(crashed.code, 1);
});
