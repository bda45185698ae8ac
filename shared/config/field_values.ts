import { LockstepError } from "../errors.ts";
import type { Field } from "./kinds.ts";

/** Throws E_CONFIG unless `field` accepts `value`; `source` says where it stood. */
export function checkValue(field: Field, value: unknown, source: string): void {
  if (!field.schema.safeParse(value).success) throw refuseValue(field, value, source);
}

/**
 * The value that a word of the command line means to `field`: the first reading (none, number, truth, list, text)
 * that it accepts. Throws E_CONFIG if it accepts none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { configKeys } from "./run_config.ts";
 *
 * const heads = configKeys.get("reflex.heads");
 * assert(heads);
 * assert.deepEqual(readWord(heads, "[4,2,2]"), [4, 2, 2]);
 * ```
 */
export function readWord(field: Field, word: string): unknown {
  const reading = readings(word).find((value) => field.schema.safeParse(value).success);
  if (reading === undefined) throw refuseValue(field, word, "command line");
  return reading;
}

/** The truth that a word means: True, true and 1 are true, False, false and 0 are false; others mean none. */
export function readTruth(word: string): boolean | undefined {
  return truths.get(word.toLowerCase());
}

const truths: ReadonlyMap<string, boolean> = new Map([["true", true], ["1", true], ["false", false], [
  "0",
  false,
]]);

function readings(word: string): unknown[] {
  const listed = word.replace(/^[[(](.*)[\])]$/, "$1").split(",").map((item) => scalar(item.trim()));
  const none = /^(none|null)$/i.test(word) ? [null] : [];
  return [...none, scalar(word), readTruth(word), listed, word].filter((reading) => reading !== undefined);
}

/** The number that a word writes (1e-3, 10_000), or the word. */
function scalar(word: string): number | string {
  const digits = word.replace(/(?<=\d)_(?=\d)/g, "");
  return /^[+-]?[\d.]/.test(digits) && Number.isFinite(Number(digits)) ? Number(digits) : word;
}

function refuseValue(field: Field, value: unknown, source: string): LockstepError {
  const given = JSON.stringify(value);
  return new LockstepError(
    "E_CONFIG",
    `Cannot set ${field.name} (${source}) as it must be ${field.accepts}: ${given} was given`,
  );
}
