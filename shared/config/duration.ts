import { z } from "zod";

/** What stands before each unit, and how many milliseconds one has. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };

const PATTERN = /^(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/;

/** A time above 0: minutes as a number, as Slurm's, or a text with units. */
export function duration() {
  return z.union([z.number().positive(), z.string().regex(PATTERN).refine((text) => durationMs(text) > 0)])
    .describe("a number of minutes above 0, or a time with units, such as 11h30m or 45s");
}

/**
 * A {@link duration} in milliseconds.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(durationMs(90), durationMs("1h30m"));
 * ```
 */
export function durationMs(value: number | string): number {
  if (typeof value === "number") return value * UNITS.m;
  const amounts = PATTERN.exec(value)?.slice(1) ?? [];
  return Object.values(UNITS).reduce((sum, unit, i) => sum + unit * Number(amounts[i] ?? 0), 0);
}
