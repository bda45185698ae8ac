import { z } from "zod";

/** What a person is told about a configuration key or an option of a command. */
export interface About {
  /** One sentence: what it sets, without the default and the unit. */
  readonly help: string;
  /** Unit of the value, where it has one: "sequences", "ms", "threads". */
  readonly unit?: string;
  /** True if the value decides the bits of the weights, and so belongs to the configuration's hash. */
  readonly numerics?: boolean;
}

/** Registry of what is told about each key: `kind.default(value).register(about, {…})`. */
export const about: z.core.$ZodRegistry<About> = z.registry<About>();

/** A key or an option as a whole: what is told about it, how it is read, what it is when left out. */
export interface Field extends About {
  readonly name: string;
  readonly schema: z.ZodType;
  /** What a value must be: "a whole number of at least 1". */
  readonly accepts: string;
  readonly default: unknown;
}

/** Puts together what {@link about} and the schema say. Throws if the schema has no default or nothing is told. */
export function describeField(name: string, schema: z.core.$ZodType): Field {
  const told = about.get(schema);
  if (!(schema instanceof z.ZodDefault) || told === undefined) {
    throw new Error(`Cannot describe ${name} as it must have a default and be registered in about`);
  }
  const kind = schema.unwrap();
  const accepts = kind instanceof z.ZodType && kind.description !== undefined ? kind.description : "valid";
  return { ...told, name, schema, accepts, default: schema.parse(undefined) };
}

// A kind is a schema whose description says what it accepts, worded to follow "must be".

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return z.int().min(min).max(max).describe(`a whole number ${range}`);
}

/** A finite number above 0. */
export function positiveNumber() {
  return z.number().positive().describe("a number above 0");
}

/** A finite number of at least 0. */
export function nonNegativeNumber() {
  return z.number().nonnegative().describe("a number of at least 0");
}

/** A number from 0 up to, but not including, 1. */
export function fraction() {
  return z.number().min(0).lt(1).describe("a number from 0 up to, but not including, 1");
}

/** Steps such as "10:20": from the first to before the second. */
export function stepRange() {
  return z.string().regex(/^\d{1,12}:\d{1,12}$/)
    .refine((range) => Number(range.split(":")[0]) < Number(range.split(":")[1]))
    .describe("steps FROM:TO such as 10:20, which ends before 20");
}

/** True or false. */
export function truth() {
  return z.boolean().describe("true or false");
}

/** A text of at least one character; `what` names it: "a folder", "a path". */
export function text(what: string) {
  return z.string().min(1).describe(what);
}

/** One of the given words. */
export function choice<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words).describe(alternatives(words));
}

/** One of the given words, or `other`. */
export function wordOr<const Words extends readonly [string, ...string[]], Other extends z.ZodType>(
  words: Words,
  other: Other,
) {
  return z.union([z.enum(words), other]).describe(alternatives([...words, other.description ?? "a value"]));
}

/** A path, told from a misspelled word by a slash or a dot in it: `./weights`, `model.ts`. */
export function path(what: string) {
  return z.string().regex(/[/\\.]/).describe(`${what} (a path with a / or a . in it)`);
}

/** How paths of TypeScript and JavaScript modules end. */
export const moduleEnding = /\.[cm]?[jt]s$/;

/** A path of a TypeScript or JavaScript module. */
export function modulePath(what: string) {
  return z.string().regex(moduleEnding).describe(`${what}, such as ./my_${what.split(" ").pop()}.ts`);
}

/** A value of `kind`, or none at all: `null` in TypeScript, left out in TOML, `none` on the command line. */
export function optional<Kind extends z.ZodType>(kind: Kind) {
  return kind.nullable().describe(`${kind.description}, or none`);
}

/** "a, b or c". */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words[words.length - 1]}`;
}
