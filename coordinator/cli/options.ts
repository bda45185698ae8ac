import { type Command, Option } from "commander";
import type { z } from "zod";
import { readWord } from "../../shared/config/field_values.ts";
import { describeField, type Field } from "../../shared/config/kinds.ts";

/**
 * The options of a command by name, each a kind with a default that is registered in `about`:
 * `{ num_samples: wholeNumber(1).default(1).register(about, { unit: "samples", help: "How many to print" }) }`.
 */
export type OptionTable = Readonly<Record<string, z.ZodDefault>>;

/** A key or an option as commander shows it: `--num_samples <samples>`, its sentence, what it must be, its default. */
export function toCommanderOption(field: Field): Option {
  return new Option(flagsOf(field), `${field.help} (${detailsOf(field)})`);
}

/** What `command` has parsed of its own options, values read by their kinds. Throws E_CONFIG for a bad value. */
export function readOptions(table: OptionTable, command: Command): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(table)) {
    const given: unknown = command.getOptionValue(name);
    if (given === undefined) continue;
    values[name] = typeof given === "string" ? readWord(describeField(name, schema), given) : given;
  }
  return values;
}

/** Words in which the options of `table` are spelled as there: `--num-samples=2` becomes `--num_samples=2`. */
export function spellAsDeclared(words: readonly string[], table: OptionTable): string[] {
  return words.map((word) => {
    const [, no = "", dashed, rest] = /^--(no-)?([^=]+)(.*)$/s.exec(word) ?? [];
    const name = dashed?.replaceAll("-", "_");
    return name !== undefined && Object.hasOwn(table, name) ? `--${no}${name}${rest}` : word;
  });
}

function flagsOf({ name, unit, default: value }: Field): string {
  if (value === false) return `--${name}`;
  if (value === true) return `--no-${name}`;
  return `--${name} <${unit ?? "value"}>`;
}

function detailsOf({ accepts, default: value }: Field): string {
  if (typeof value === "boolean") return `default ${value}`;
  return `${accepts}; default ${value === null ? "none" : String(value)}`;
}
