import { z } from "zod";
import { LockstepError } from "../errors.ts";
import { writeFileAtomic } from "../files.ts";
import { canonicalHash } from "../hash.ts";

const hash = z.string().regex(/^[0-9a-f]{32,128}$/);

const numericsSchema = z.strictObject({
  engine: z.string(),
  device: z.string(),
  /** Threads of each worker's compiled step. */
  threads: z.number().int().positive(),
  /** Hash of the traced training step; null for an engine that runs it eagerly. */
  graph: hash.nullable(),
  /** Rows of a micro-batch that are computed at once; null where it is never cut. */
  slice_rows: z.number().int().positive().nullable(),
  /** Path and SHA-256 of an engine module of the user's own; null for the built-in engines. */
  engine_module: z.strictObject({ path: z.string(), sha256: hash }).nullable(),
  /** Path and SHA-256 of a model module of the user's own; null for the built-in models. */
  model_module: z.strictObject({ path: z.string(), sha256: hash }).nullable(),
  /** SHA-256 of each data file, by name. */
  data: z.record(z.string(), hash),
  /** Every setting that the weights depend on; not those that may change between starts, such as log_interval. */
  config: z.record(z.string(), z.json()),
});

/** What the bits of a run depend on: fixed when it starts, obeyed by every later member; a resume may change the engine. */
export type Numerics = z.infer<typeof numericsSchema>;

const manifestSchema = z.strictObject({
  format: z.literal(1),
  /** Names the run to its members. */
  run_id: z.string(),
  /** ISO 8601, UTC. */
  created: z.string(),
  /** Of lockstep, deno and the packages that compute, by name. */
  versions: z.record(z.string(), z.string()),
  git_revision: z.string().nullable(),
  /** Of its coordinator, in words; null for runs of before it was kept. */
  machine: z.string().nullable().default(null),
  /** What the run's own program gives for a fixed input, where it was computed so far; null before the first step. */
  fingerprint: hash.nullable().default(null),
  /** Those of the last start. */
  numerics: numericsSchema,
  /** Those before it, oldest first: each computed the steps below `until` that the one before it did not. */
  changes: z.array(z.strictObject({ until: z.number().int().positive(), numerics: numericsSchema }))
    .default([]),
  /** The canonical hash of `numerics`, which HELLO and checkpoints carry. */
  config_hash: hash,
});

/** A run's manifest.json. */
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of a run that starts. */
export function createManifest(
  { fingerprint = null, machine = null, ...fields }:
    & Omit<Manifest, "format" | "changes" | "config_hash" | "fingerprint" | "machine">
    & { fingerprint?: string | null; machine?: string | null },
): Manifest {
  return {
    format: 1,
    ...fields,
    machine,
    fingerprint,
    changes: [],
    config_hash: canonicalHash(fields.numerics),
  };
}

/** The manifest of a run that goes on from `step` with `numerics`; what was computed beyond that step is computed anew. */
export function continueManifest(
  manifest: Manifest,
  { step, numerics, fingerprint }: { step: number; numerics: Numerics; fingerprint?: string | null },
): Manifest {
  const history = [...manifest.changes, { until: Infinity, numerics: manifest.numerics }];
  const before = history.filter(({ until }) => until < step);
  const [{ numerics: last }] = history.slice(before.length);
  const changed = step > 0 && compareNumerics(last, numerics).length > 0;
  return {
    ...manifest,
    fingerprint: fingerprint ?? manifest.fingerprint,
    numerics,
    changes: changed ? [...before, { until: step, numerics: last }] : before,
    config_hash: canonicalHash(numerics),
  };
}

/** Writes a manifest, whole or not at all. Throws E_NO_SPACE, E_OUT_DIR. */
export async function writeManifest(path: string, manifest: Manifest): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(manifest, null, 2) + "\n");
}

/** Reads a manifest. Throws E_OUT_DIR where there is none, E_DECODE, naming the field, where it is damaged. */
export async function readManifest(path: string): Promise<Manifest> {
  const parsed = manifestSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    const { path: field, message } = parsed.error.issues[0];
    throw new LockstepError(
      "E_DECODE",
      `Cannot read ${path} as its "${field.join(".")}" is wrong: ${message}`,
    );
  }
  const expected = canonicalHash(parsed.data.numerics);
  if (parsed.data.config_hash !== expected) {
    throw new LockstepError("E_DECODE", `Cannot read ${path} as its numerics do not have its config_hash`);
  }
  return parsed.data;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new LockstepError("E_OUT_DIR", `Cannot read ${path} as there is no such file`, { cause: error });
    }
    if (!(error instanceof SyntaxError)) throw error;
    throw new LockstepError("E_DECODE", `Cannot read ${path} as it is no JSON`, { cause: error });
  }
}

/** A setting that two starts of a run do not agree on. */
export interface NumericsDifference {
  /** Dotted path: `config.batch_size`. */
  key: string;
  /** JSON text; "nothing" where a side lacks the key. */
  saved: string;
  current: string;
}

/** Where the numerics of the run so far and of the start that wants to go on differ, in the order of the keys. */
export function compareNumerics(saved: Numerics, current: Numerics): NumericsDifference[] {
  const before = flatten(saved);
  const now = flatten(current);
  const keys = [...new Set([...before.keys(), ...now.keys()])].sort();
  return keys
    .map((key) => ({ key, saved: before.get(key) ?? "nothing", current: now.get(key) ?? "nothing" }))
    .filter(({ saved, current }) => saved !== current);
}

/** Throws E_CONFIG_HASH, naming every key that differs, unless a run may go on with the numerics of this start. */
export function assertSameNumerics(saved: Numerics, current: Numerics): void {
  const differences = compareNumerics(saved, current);
  if (differences.length === 0) return;
  const list = differences.map(({ key, saved, current }) => `${key} was ${saved} and is ${current}`);
  throw new LockstepError(
    "E_CONFIG_HASH",
    `Cannot resume as a run must go on with the numerics it started with: ${list.join(", ")}; ` +
      `give the old values or start another run`,
  );
}

/** What follows from the engine, and may change with it but not alone. */
type OfEngine = "engine" | "device" | "threads" | "graph" | "slice_rows" | "engine_module";

/**
 * Whether a start goes on with another engine or on another device. Throws E_CONFIG_HASH, naming every key that differs, if
 * anything is different that does not follow from it.
 */
export function changesEngine(saved: Numerics, current: Numerics): boolean {
  if (saved.engine === current.engine && saved.device === current.device) {
    assertSameNumerics(saved, current);
    return false;
  }
  const { engine, device, threads, graph, slice_rows, engine_module } = saved;
  const ofEngine: Pick<Numerics, OfEngine> = { engine, device, threads, graph, slice_rows, engine_module };
  assertSameNumerics(saved, { ...current, ...ofEngine });
  return true;
}

/** Leaves by dotted path, as JSON text; arrays are leaves. */
function flatten(value: object, prefix = ""): Map<string, string> {
  const leaves = new Map<string, string>();
  for (const [key, member] of Object.entries(value)) {
    const path = prefix + key;
    if (typeof member === "object" && member !== null && !Array.isArray(member)) {
      for (const [inner, text] of flatten(member, `${path}.`)) leaves.set(inner, text);
    } else {
      leaves.set(path, JSON.stringify(member));
    }
  }
  return leaves;
}
