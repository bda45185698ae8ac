import { basename, dirname, extname } from "node:path";
import { z } from "zod";
import { LockstepError } from "../errors.ts";
import { checkValue } from "./field_values.ts";
import { foreignNames, ignoreForeign } from "./foreign_names.ts";
import { moduleEnding } from "./kinds.ts";
import { flattenValues, keyNamed, type KeyValues } from "./key_values.ts";
import { presetTexts } from "./preset_texts.ts";
import { suggest } from "./suggest.ts";
import { readToml } from "./toml.ts";

/** A task sets data, `block_size` and schedule; a model sets `n_layer`, `n_head`, `n_embd` and `reflex.*`. */
export type PresetKind = "task" | "model";

/** Part of a configuration under a name, from a TOML file. */
export interface Preset {
  /** Fit for a folder's name. */
  readonly name: string;
  readonly kind: PresetKind;
  /** One line for lists. */
  readonly summary: string;
  /** Keys of which one must be set for the preset to make sense; none if empty. */
  readonly needs: readonly string[];
  readonly values: KeyValues;
  /** What a person should know: names of nanoGPT or torchrun in the file that are ignored. */
  readonly notes: readonly string[];
}

/** The names of the built-in presets of a kind. */
export function presetNames(kind: PresetKind): string[] {
  return [...presetTexts.keys()].filter((name) => builtIn(name)?.kind === kind);
}

/** The built-in preset of that name. */
export function builtIn(name: string): Preset | undefined {
  const text = presetTexts.get(name);
  return text === undefined ? undefined : parsePreset(text, { name, source: name, kind: "task" });
}

/**
 * Loads a built-in preset or a TOML file (a path has a slash or ends in `.toml`). A task's `model` may name a model
 * preset; then its values lie under the task's own. Throws E_PRESET if there is none of that kind, E_CONFIG if it
 * does not hold a configuration.
 */
export async function loadPreset(nameOrPath: string, kind: PresetKind): Promise<Preset> {
  const preset = isFile(nameOrPath) ? await readPreset(nameOrPath, kind) : builtIn(nameOrPath);
  if (preset?.kind !== kind) throw refusePreset(nameOrPath, { kind, found: preset });
  const model = preset.values.get("model");
  if (kind === "model" || !isModelPreset(model)) return preset;
  const below = await loadPreset(model, "model");
  const values = new Map([...below.values, ...preset.values]);
  values.set("model", below.values.get("model") ?? null);
  return { ...preset, values, notes: [...below.notes, ...preset.notes] };
}

/** True for a value of `model` that names a model preset, not a module: `reflex-8l8h`, `my_model.toml`. */
export function isModelPreset(value: unknown): value is string {
  return typeof value === "string" && !moduleEnding.test(value) && value !== "none";
}

const headSchema = z.strictObject({
  kind: z.enum(["task", "model"]).optional(),
  summary: z.string().optional(),
  needs: z.array(z.string()).default([]),
});

async function readPreset(path: string, kind: PresetKind): Promise<Preset> {
  if (extname(path) === ".py") {
    throw new LockstepError(
      "E_PRESET",
      `Cannot load ${path} as nanoGPT's configuration files are programs, which are not run: write its keys as TOML`,
    );
  }
  const text = await Deno.readTextFile(path).catch((error: Error) => {
    const reason = error instanceof Deno.errors.NotFound ? "no such file" : error.message;
    throw new LockstepError(
      "E_PRESET",
      `Cannot load the ${kind} preset ${path} as it must be a file to read: ${reason}`,
      { cause: error },
    );
  });
  return parsePreset(text, { name: nameOf(path), source: path, kind });
}

function parsePreset(
  text: string,
  { name, source, kind }: { name: string; source: string; kind: PresetKind },
): Preset {
  const { preset = {}, ...table } = readToml(text, { source });
  const head = headSchema.safeParse(preset);
  if (!head.success) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot read preset.* in ${source}: only kind, summary and needs are known`,
    );
  }
  const values = flattenValues(table, source);
  const notes: string[] = [];
  for (const [key, value] of values) {
    const foreign = foreignNames.get(key);
    if (foreign !== undefined) {
      notes.push(ignoreForeign(key, foreign));
      values.delete(key);
    } else if (key !== "model" || !isModelPreset(value)) {
      checkValue(keyNamed(key, { source }), value, source);
    }
  }
  return { kind, summary: source, ...head.data, name, values, notes };
}

function refusePreset(
  name: string,
  { kind, found }: { kind: PresetKind; found: Preset | undefined },
): LockstepError {
  const names = presetNames(kind);
  const reason = found === undefined
    ? `there are ${names.join(", ")}: ${suggest(name, names)}`
    : `it is a ${found.kind}: write ${found.kind === "model" ? "TASK --model=" : ""}${found.name}`;
  return new LockstepError("E_PRESET", `Cannot load the ${kind} preset ${name} as ${reason}`);
}

function isFile(nameOrPath: string): boolean {
  return /[/\\]|\.(toml|py)$/.test(nameOrPath);
}

/** The file's name, or its folder's for a run's config.toml, with nothing that a folder's name should not have. */
function nameOf(path: string): string {
  const stem = basename(path, extname(path));
  const name = stem === "config" ? basename(dirname(path)) : stem;
  return name.replace(/[^A-Za-z0-9._-]/g, "-").slice(0, 100);
}
