/**
 * The test command: `deno task test [WORD…]`, and `deno task test:long [WORD…]`.
 *
 * Without words it runs every test under `tests/` but those in `tests/long/`, and every documentation example of
 * the sources. A word that is a path runs that file or folder; an option (`--fail-fast`, `--coverage=DIR`) goes
 * to `deno test`; any other word keeps only the tests whose title contains one of them. `--jobs=N` runs N files
 * at a time (default 1: many tests start processes or measure time). The last line is `N passed, N failed,
 * N skipped`; the exit status is 0 only if something ran and nothing failed.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseJunit, type TestReport } from "./junit_report.ts";

const LONG = "tests/long";
const SOURCES = ["mod.ts", "coordinator", "worker", "shared"];
const JOBS = /^--jobs=([1-9]\d*)$/;

/** A run of `deno test`: its arguments, and how many files it runs at a time. */
export interface TestCommand {
  args: string[];
  jobs: number;
}

/** What `deno test` is called with for the words after `deno task test`. */
export function testCommand(words: string[]): TestCommand {
  const jobs = Number(words.findLast((word) => JOBS.test(word))?.match(JOBS)?.[1] ?? 1);
  const options = words.filter((word) => word.startsWith("-") && word !== "--long" && !JOBS.test(word));
  const names = words.filter((word) => !word.startsWith("-"));
  const paths = names.filter((word) => existsSync(word));
  const titles = names.filter((word) => !existsSync(word)).map(escapePattern);
  return {
    jobs,
    args: [
      "-A",
      ...(jobs > 1 ? ["--parallel"] : []),
      ...(titles.length > 0 ? [`--filter=/${titles.join("|")}/`] : []),
      ...options,
      ...(paths.length > 0 ? paths : words.includes("--long") ? [LONG] : everything()),
    ],
  };
}

function everything(): string[] {
  return ["--doc", `--ignore=${LONG}`, "tests", ...SOURCES.filter((path) => existsSync(path))];
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/**
 * The closing lines, the last of them the sum, and the exit status. A run that ends badly without naming a
 * failed test (a module that does not type-check or throws, a crash), or in which nothing ran, is one failure.
 */
export function summarize(report: TestReport, status: number): { lines: string[]; exitCode: number } {
  const { passed, failed, skipped } = report;
  const lines = skipped.map((title) => `skipped: ${title}`);
  let failures = failed.length;
  if (failures === 0 && status !== 0) {
    lines.push(`failed: deno test ended with status ${status}, see above`);
    failures = 1;
  } else if (failures + passed.length === 0) {
    lines.push("failed: no test ran");
    failures = 1;
  }
  lines.push(`${passed.length} passed, ${failures} failed, ${skipped.length} skipped`);
  return { lines, exitCode: failures > 0 ? 1 : 0 };
}

async function main(words: string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-test-"));
  const junit = join(folder, "junit.xml");
  try {
    const { args, jobs } = testCommand(words);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", `--junit-path=${junit}`, ...args],
      env: { DENO_JOBS: String(jobs) },
    }).spawn();
    const { code } = await child.status;
    const { lines, exitCode } = summarize(
      parseJunit(existsSync(junit) ? readFileSync(junit, "utf8") : ""),
      code,
    );
    console.log(lines.join("\n"));
    return exitCode;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await main(Deno.args);
