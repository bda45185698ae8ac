import { LockstepError } from "../errors.ts";
import { nestValues } from "./key_values.ts";
import { type Override, readOverrides } from "./overrides.ts";
import { parseRunConfig } from "./parse_run_config.ts";
import { isModelPreset, loadPreset, type Preset } from "./presets.ts";
import type { RunConfig } from "./run_config.ts";

/** What a command line makes of the configuration. */
export interface ResolvedConfig {
  readonly config: RunConfig;
  /** Name of the task's preset, fit for a folder's name. */
  readonly preset: string;
  /** Keys that the command line sets and that stand. */
  readonly given: ReadonlySet<string>;
  /** Sentences for the person who wrote it. */
  readonly notes: readonly string[];
}

/** The preset that is taken if none is named. */
const DEFAULT_PRESET = "sort-demo";

/**
 * Resolves `PRESET|FILE.toml --key=value …`: defaults, then the preset, then each word in order, so that what stands
 * later wins; `--model=NAME` sets all keys of that model preset. `otherNames` are options of the command itself, for
 * the nearest-name hint. Throws E_PRESET, E_CONFIG, E_MODEL or E_USAGE.
 */
export async function resolveRunConfig(
  words: readonly string[],
  { otherNames = [] }: { otherNames?: readonly string[] } = {},
): Promise<ResolvedConfig> {
  const { positionals, overrides, notes } = readOverrides(words, otherNames);
  const [name = DEFAULT_PRESET, ...surplus] = positionals;
  if (surplus.length > 0) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot take ${surplus[0]} as one preset or file must stand alone: ${name} is given`,
    );
  }
  const preset = await loadPreset(name, "task");
  const applied = await applyOverrides(preset, overrides);
  const source = [name, ...overrides.map((override) => override.words)].join(" ");
  const config = parseRunConfig(nestValues(applied.values), { source });
  checkNeeds(preset, config);
  return {
    config,
    preset: preset.name,
    given: applied.given,
    notes: [...preset.notes, ...notes, ...applied.notes],
  };
}

async function applyOverrides(preset: Preset, overrides: readonly Override[]) {
  const values = new Map(preset.values);
  const given = new Set<string>();
  const notes: string[] = [];
  for (const { name, value, words } of overrides) {
    if (name !== "model") {
      values.set(name, value);
    } else if (!isModelPreset(value)) {
      values.set(name, value === "none" ? null : value);
    } else {
      const model = await loadPreset(value, "model");
      const replaced = [...model.values.keys()].filter((key) => given.delete(key));
      if (replaced.length > 0) notes.push(`${words} replaces ${replaced.join(", ")}, set before it`);
      for (const [key, modelValue] of model.values) values.set(key, modelValue);
      values.set(name, model.values.get("model") ?? null);
      notes.push(...model.notes);
    }
    given.add(name);
  }
  return { values, given, notes };
}

/** A resumed run has its data in its own folder. */
function checkNeeds({ name, needs }: Preset, config: RunConfig): void {
  if (config.init_from === "resume" || needs.length === 0) return;
  const values = new Map<string, unknown>(Object.entries(config));
  if (needs.some((key) => (values.get(key) ?? null) !== null)) return;
  throw new LockstepError(
    "E_CONFIG",
    `Cannot use ${name} as it needs ${needs.join(" or ")}: add --${needs[0]}=…`,
  );
}
