import { basename, join } from "node:path";
import { cpus } from "node:os";
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { isThere } from "../../shared/files.ts";
import { engineCommand } from "./engine_process.ts";

/** What `verify` finds of a case on an engine, as its line of JSON. */
export const verdictSchema = z.object({
  case: z.string(),
  engine: z.string(),
  pass: z.boolean(),
  worst: z.record(z.string(), z.number()),
  seconds: z.number(),
});

export type TimedVerdict = z.infer<typeof verdictSchema>;

/** What an engine gave: verdicts by case, and why the others are missing. */
export interface EngineColumn {
  readonly engine: string;
  readonly verdicts: ReadonlyMap<string, TimedVerdict>;
  /** A sentence; null where none is missing. */
  readonly problem: string | null;
}

/** The cases among `paths`: folders of one, or of several. */
export async function listCases(paths: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(paths.map(async (path) => {
    if (await isCase(path)) return [path];
    const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
    const below = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => join(path, name)).sort();
    const cases: string[] = [];
    for (const folder of below) if (await isCase(folder)) cases.push(folder);
    return cases.length > 0 ? cases : [path]; // verify says what is wrong with it
  }));
  return lists.flat();
}

async function isCase(path: string): Promise<boolean> {
  for (const name of ["config.json", "trajectory.json"]) {
    if (!await isThere(join(path, name))) return false;
  }
  return true;
}

/** Verifies cases on an engine in a process of its own. */
export async function verifyColumn(engine: string, directories: readonly string[]): Promise<EngineColumn> {
  const verdicts = new Map<string, TimedVerdict>();
  try {
    const command = await engineCommand(engine, ["verify", ...directories, `--engine=${engine}`, "--json"], {
      stdin: "null",
    });
    const { stdout, stderr } = await command.output();
    for (const line of linesOf(stdout)) {
      const { success, data } = verdictSchema.safeParse(parseJson(line));
      if (success) verdicts.set(data.case, data);
    }
    if (verdicts.size === directories.length) return { engine, verdicts, problem: null };
    return { engine, verdicts, problem: linesOf(stderr).at(-1) ?? "it ended without a word" };
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return { engine, verdicts, problem: error.message };
  }
}

/**
 * A table of cases and engines in Markdown, with date and machine. A cell has the largest difference of a gradient and the
 * time; what was not run says so.
 */
export function printTable(
  directories: readonly string[],
  columns: readonly EngineColumn[],
  { date, machine }: { date: string; machine: string },
): string {
  const rows = directories.map((directory) => {
    const name = basename(directory);
    return [`\`${name}\``, ...columns.map(({ verdicts }) => cellOf(verdicts.get(name)))];
  });
  const table = [["case", ...columns.map(({ engine }) => `\`${engine}\``)], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const notes = columns.flatMap(({ engine, problem }) =>
    problem === null ? [] : [`\`${engine}\`: ${problem}`]
  );
  return [
    `${date}, ${machine}. Each cell: the largest difference of a gradient, and the time for the whole case.`,
    "",
    line(table[0]),
    line(widths.map((width) => "-".repeat(width))),
    ...table.slice(1).map(line),
    ...notes.flatMap((note) => ["", note]),
  ].join("\n");
}

function cellOf(verdict: TimedVerdict | undefined): string {
  if (verdict === undefined) return "not run";
  const { pass, worst, seconds } = verdict;
  return `${pass ? "" : "FAILED "}${worst.grads.toExponential(1)}, ${seconds.toFixed(1)} s`;
}

/** `AMD EPYC 9R14, 2 cores, linux`. */
export function describeThisMachine(): string {
  const all = cpus();
  return `${all[0]?.model.trim() ?? "unknown CPU"}, ${all.length} cores, ${Deno.build.os}`;
}

function linesOf(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "");
}

/** Undefined for a text that is no JSON, which no schema takes. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
