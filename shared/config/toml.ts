import { parse, stringify, TomlError } from "smol-toml";
import { LockstepError } from "../errors.ts";
import { flattenValues } from "./key_values.ts";
import { type ConfigKey, configKeys, type RunConfig } from "./run_config.ts";

/**
 * A configuration as TOML, every default written out, by section; keys without a value, which TOML cannot say,
 * stand in comments. `parseRunConfig(readToml(text, …), …)` gives the same configuration.
 */
export function toToml(config: RunConfig): string {
  const values = flattenValues(config, "configuration");
  const line = (key: ConfigKey) => {
    const name = key.name.slice(key.name.indexOf(".") + 1);
    const value = values.get(key.name);
    return value === null ? `# ${name} is not set` : stringify({ [name]: value }).trimEnd();
  };
  const blocks = Map.groupBy(configKeys.values(), blockOf);
  // A table ends only where the next one begins, so that flat keys come first.
  return [...blocks].sort(([a], [b]) => Number(a.startsWith("[")) - Number(b.startsWith("[")))
    .map(([head, keys]) => `${head}\n${keys.map(line).join("\n")}\n`).join("\n");
}

/** The values of a TOML text. Throws E_CONFIG that names `source`, line and column if it is none. */
export function readToml(text: string, { source }: { source: string }): Record<string, unknown> {
  try {
    return { ...parse(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason] = error.message.replace("Invalid TOML document: ", "").split("\n");
    const place = `line ${error.line}, column ${error.column}`;
    throw new LockstepError("E_CONFIG", `Cannot read ${source} as it must be TOML: ${reason} (${place})`, {
      cause: error,
    });
  }
}

function blockOf({ name, section }: ConfigKey): string {
  const dot = name.indexOf(".");
  return dot < 0 ? `# ${section}` : `[${name.slice(0, dot)}]`;
}
