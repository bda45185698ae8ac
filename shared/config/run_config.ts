import { z } from "zod";
import { describeField, type Field } from "./kinds.ts";
import { dataKeys } from "./keys/data.ts";
import { modelKeys } from "./keys/model.ts";
import { optimizerKeys } from "./keys/optimizer.ts";
import { evaluationKeys, runKeys } from "./keys/run.ts";
import { launchKeys, systemKeys } from "./keys/system.ts";

/** The keys by the section under which people read them, in reading order. */
const sections = [
  ["data", dataKeys],
  ["model", modelKeys],
  ["optimizer", optimizerKeys],
  ["run", runKeys],
  ["evaluation", evaluationKeys],
  ["system", systemKeys],
  ["launch", launchKeys],
] as const;

/** A section's name. */
export type Section = (typeof sections)[number][0];

/** The schema of a run's configuration: flat keys and the tables `sort` and `reflex`, every key with a default. */
export const runConfigSchema = z.strictObject({
  ...dataKeys,
  ...modelKeys,
  ...optimizerKeys,
  ...runKeys,
  ...evaluationKeys,
  ...systemKeys,
  ...launchKeys,
});

/** A run's configuration, complete: every default filled in. */
export type RunConfig = z.output<typeof runConfigSchema>;

/** One key of the configuration; a key of a table has a dot in its name: `reflex.heads`. */
export interface ConfigKey extends Field {
  readonly section: Section;
}

/** Every key by its name, in reading order. */
export const configKeys: ReadonlyMap<string, ConfigKey> = new Map(
  sections.flatMap(([section, fields]) => listKeys(section, "", fields)).map((key) => [key.name, key]),
);

/** The names of the nested tables, `sort` and `reflex`. */
export const configTables: ReadonlySet<string> = new Set(
  [...configKeys.keys()].filter((name) => name.includes(".")).map((name) => name.split(".")[0]),
);

function listKeys(section: Section, prefix: string, fields: Record<string, z.core.$ZodType>): ConfigKey[] {
  return Object.entries(fields).flatMap(([field, schema]) => {
    const name = prefix + field;
    if (schema instanceof z.ZodPrefault) {
      const table = schema.unwrap();
      if (table instanceof z.ZodObject) return listKeys(section, `${name}.`, table.shape);
    }
    return [{ ...describeField(name, schema), section }];
  });
}
