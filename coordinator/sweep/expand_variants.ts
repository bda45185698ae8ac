import type { KeyValues } from "../../shared/config/key_values.ts";
import { refuseSweep } from "./refuse_sweep.ts";

/** One thing that is compared with others: what it sets above the preset. */
export interface Variant {
  readonly name: string;
  readonly values: KeyValues;
}

/** What a sweep's variants are made of. */
export interface VariantParts {
  /** Keys of every variant; what a variant or the grid sets stands above them. */
  readonly config: KeyValues;
  /** The list; without any there is one variant without a name, which the grid names. */
  readonly variants: readonly Variant[];
  /** The values that each key takes in turn. */
  readonly grid: KeyValues;
}

/** Names of folders and files that say which values a run has: `reflex.depth=2`. */
const NAME = /^[A-Za-z0-9._=+-]{1,100}$/;

/**
 * The variants of a sweep: the list, each with every combination of the grid's values, the first key slowest. A grid's variants
 * are named by what they set: `reflex.depth=1_n_embd=96`. Throws E_CONFIG for names that are none or stand twice, and
 * for a grid's key without a list of values.
 */
export function expandVariants(
  { config, variants, grid }: VariantParts,
  { source }: { source: string },
): Variant[] {
  const points = pointsOf(grid, source);
  const listed = variants.length === 0 ? [{ name: "", values: new Map() }] : variants;
  const expanded = listed.flatMap(({ name, values }) =>
    points.map((point) => ({
      name: [name, ...[...point].map(([key, value]) => `${key}=${wordOf(value)}`)]
        .filter((part) => part !== "").join("_") || "default",
      values: new Map([...config, ...values, ...point]),
    }))
  );
  const seen = new Set<string>();
  for (const { name } of expanded) {
    if (!NAME.test(name)) {
      throw refuseSweep(source, `"${name}" is no name of a variant: 1 to 100 letters, digits and ._=+- are`);
    }
    if (seen.has(name)) throw refuseSweep(source, `two variants are named ${name}`);
    seen.add(name);
  }
  return expanded;
}

/** Every combination of the values. */
function pointsOf(grid: KeyValues, source: string): Map<string, unknown>[] {
  let points = [new Map<string, unknown>()];
  for (const [key, values] of grid) {
    if (!Array.isArray(values) || values.length === 0) {
      throw refuseSweep(
        source,
        `the grid's ${key} must be a list of values: ${JSON.stringify(values)} is given`,
      );
    }
    points = points.flatMap((point) => values.map((value) => new Map([...point, [key, value]])));
  }
  return points;
}

/** A value as a part of a name: lists have dashes between. */
function wordOf(value: unknown): string {
  return Array.isArray(value) ? value.join("-") : String(value);
}
