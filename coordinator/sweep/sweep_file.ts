import { basename, dirname, extname, join } from "node:path";
import { z } from "zod";
import { duration, durationMs } from "../../shared/config/duration.ts";
import { flattenValues, keyNamed, type KeyValues } from "../../shared/config/key_values.ts";
import { suggest } from "../../shared/config/suggest.ts";
import { readToml } from "../../shared/config/toml.ts";
import { LockstepError } from "../../shared/errors.ts";
import { safeName } from "../../shared/files.ts";
import { expandVariants, type Variant } from "./expand_variants.ts";
import { refuseSweep } from "./refuse_sweep.ts";

/** What variants are made alike in, so that their figures can be compared. */
export type Match = "parameters" | "flops";

/** A sweep as its file says: each variant is run once for each seed. */
export interface Sweep {
  /** The file's name without its ending. */
  readonly name: string;
  /** What every run starts from: a preset's name or a TOML file. */
  readonly preset: string;
  /** The file of a sweep from whose weights this one's runs start, each from the run of its own name; null for new weights. */
  readonly from: string | null;
  readonly seeds: readonly number[];
  readonly variants: readonly Variant[];
  /** The variant that others are compared with, seed by seed; null for none. */
  readonly baseline: string | null;
  readonly match: Match | null;
  /** By which share variants may be off what they are matched in. */
  readonly matchTolerance: number;
  /** How long each run may train in all its starts together, in ms; null for as long as it takes. */
  readonly budgetMs: number | null;
  /** What each run is measured by at its end; `own` is the task that it was trained for. */
  readonly tasks: readonly string[];
}

const table = z.record(z.string(), z.unknown());
const MATCHES = ["parameters", "flops"] as const;

const sweepSchema = z.strictObject({
  preset: z.string().min(1),
  from: z.string().min(1).optional(),
  seeds: z.array(z.int().min(0).max(2 ** 32 - 1)).min(1).default([1337]),
  baseline: z.string().optional(),
  match: z.enum(MATCHES).optional(),
  match_tolerance: z.number().min(0).default(0.05),
  budget: duration().optional(),
  tasks: z.array(z.string().min(1)).default(["own"]),
  config: table.default({}),
  variant: z.array(z.strictObject({ name: z.string(), config: table.default({}) })).default([]),
  grid: table.default({}),
});

/** Keys that the sweep itself sets, and what to write instead. */
const OWN_KEYS: ReadonlyMap<string, string> = new Map([
  ["seed", "list them as seeds"],
  ["max_time", "write budget"],
  ["out_dir", "leave it out, each run has a folder of its own"],
  ["eval_only", "leave it out"],
]);

/** Reads the sweep at `path`. Throws E_PRESET where no file can be read, E_CONFIG where it is no sweep. */
export async function readSweep(path: string): Promise<Sweep> {
  const text = await Deno.readTextFile(path).catch((cause: Error) => {
    const reason = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new LockstepError("E_PRESET", `Cannot read the sweep ${path} as ${reason}`, { cause });
  });
  return parseSweep(text, { source: path });
}

/** As {@link readSweep}, from the file's text; `source` is its path. */
export function parseSweep(text: string, { source }: { source: string }): Sweep {
  const parsed = sweepSchema.safeParse(readToml(text, { source }));
  if (!parsed.success) throw refuseSweep(source, describeIssue(parsed.error.issues[0]));
  const { preset, from, seeds, baseline = null, match = null, match_tolerance, budget, tasks } = parsed.data;
  const { config, variant, grid } = parsed.data;
  if (new Set(seeds).size < seeds.length) throw refuseSweep(source, "a seed stands in seeds more than once");
  const variants = expandVariants({
    config: readKeys(config, source),
    variants: variant.map(({ name, config }) => ({ name, values: readKeys(config, source) })),
    grid: readKeys(grid, source),
  }, { source });
  const names = variants.map(({ name }) => name);
  if (baseline !== null && !names.includes(baseline)) {
    throw refuseSweep(source, `the baseline ${baseline} is no variant: ${suggest(baseline, names)}`);
  }
  if (from !== undefined && variants.some(({ values }) => values.has("init_from"))) {
    throw refuseSweep(source, "from says where runs start: leave out init_from");
  }
  return {
    ...{ name: nameOf(source), preset, from: from === undefined ? null : join(dirname(source), from), seeds },
    ...{ variants, baseline, match, tasks },
    matchTolerance: match_tolerance,
    budgetMs: budget === undefined ? null : durationMs(budget),
  };
}

/** Keys by their full names. Throws E_CONFIG for one that is none, or that the sweep itself sets. */
function readKeys(values: Record<string, unknown>, source: string): KeyValues {
  const flat = flattenValues(values, source);
  for (const name of flat.keys()) {
    keyNamed(name, { source });
    const instead = OWN_KEYS.get(name);
    if (instead !== undefined) throw refuseSweep(source, `${name} is the sweep's to set: ${instead}`);
  }
  return flat;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const at = issue.path.join(".");
  if (issue.code !== "unrecognized_keys") return `its ${at} is wrong: ${issue.message}`;
  const [name] = issue.keys;
  const known = at === "" ? Object.keys(sweepSchema.shape) : ["name", "config"];
  return `it has no ${[at, name].filter((part) => part !== "").join(".")}: ${suggest(name, known)}`;
}

function nameOf(path: string): string {
  return safeName(basename(path, extname(path)), "a sweep");
}
