import { z } from "zod";
import { type About, about } from "./kinds.ts";
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

/** One key of the configuration, as the command line, TOML files and the docs see it. */
export interface ConfigKey extends About {
  /** Its name; a key of a table has a dot: `reflex.heads`. */
  readonly name: string;
  readonly section: Section;
  /** Parses a value. */
  readonly schema: z.ZodType;
  /** What a value must be: "a whole number of at least 1". */
  readonly accepts: string;
  readonly default: unknown;
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
    const told = about.get(schema);
    if (!(schema instanceof z.ZodDefault) || told === undefined) {
      throw new Error(`Key ${name} needs a default and a description`);
    }
    return [{ ...told, name, section, schema, accepts: describe(schema), default: schema.parse(undefined) }];
  });
}

function describe(schema: z.ZodDefault): string {
  const kind = schema.unwrap();
  return kind instanceof z.ZodType && kind.description !== undefined ? kind.description : "valid";
}
