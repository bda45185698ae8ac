import { LockstepError } from "../errors.ts";
import { type ConfigKey, configKeys, configTables } from "./run_config.ts";
import { suggest } from "./suggest.ts";

/** Values by the full names of their keys: `reflex.heads`, not a table in a table. */
export type KeyValues = ReadonlyMap<string, unknown>;

/**
 * The key of that name; `source` says where the name stood. Throws E_CONFIG with the nearest known name, of
 * `otherNames` too.
 */
export function keyNamed(
  name: string,
  { source, otherNames = [] }: { source: string; otherNames?: readonly string[] },
): ConfigKey {
  const key = configKeys.get(name);
  if (key !== undefined) return key;
  const reason = configTables.has(name)
    ? `it is a table: set one of ${keysOf(name).join(", ")}`
    : `no key has this name: ${suggest(name, [...configKeys.keys(), ...otherNames])}`;
  throw new LockstepError("E_CONFIG", `Cannot set ${name} (${source}) as ${reason}`);
}

/** Takes nested tables apart. Throws E_CONFIG if `values` is no table, or a table's key holds something else. */
export function flattenValues(values: unknown, source: string): Map<string, unknown> {
  if (!isTable(values)) {
    const given = JSON.stringify(values);
    throw new LockstepError(
      "E_CONFIG",
      `Cannot read ${source} as it must hold a table of keys: it holds ${given}`,
    );
  }
  const flat = new Map<string, unknown>();
  for (const [name, value] of Object.entries(values)) {
    if (!configTables.has(name) || !isTable(value)) flat.set(name, value);
    else for (const [inner, innerValue] of Object.entries(value)) flat.set(`${name}.${inner}`, innerValue);
  }
  return flat;
}

/** Puts nested tables together again. */
export function nestValues(values: KeyValues): Record<string, unknown> {
  const nested: Record<string, unknown> = {};
  const tables = new Map<string, Record<string, unknown>>();
  for (const [name, value] of values) {
    const [table, inner] = name.split(".");
    if (inner === undefined) {
      nested[name] = value;
      continue;
    }
    const fields = tables.get(table) ?? {};
    fields[inner] = value;
    tables.set(table, fields);
    nested[table] = fields;
  }
  return nested;
}

function keysOf(table: string): string[] {
  return [...configKeys.keys()].filter((name) => name.startsWith(`${table}.`));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
