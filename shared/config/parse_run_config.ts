import { checkRunConfig } from "./checks.ts";
import { checkValue } from "./field_values.ts";
import { flattenValues, keyNamed } from "./key_values.ts";
import { type RunConfig, runConfigSchema } from "./run_config.ts";

/**
 * Reads a configuration completely: names, values, and what keys demand of each other. Keys that are left out get
 * their defaults. `source` says where the values stood ("config.toml"). Throws E_CONFIG or E_MODEL.
 */
export function parseRunConfig(values: unknown, { source }: { source: string }): RunConfig {
  for (const [name, value] of flattenValues(values, source)) {
    checkValue(keyNamed(name, { source }), value, source);
  }
  const config = runConfigSchema.parse(values);
  checkRunConfig(config, source);
  return config;
}
