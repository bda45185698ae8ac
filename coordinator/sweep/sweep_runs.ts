import { join } from "node:path";
import type { Variant } from "./expand_variants.ts";
import type { Sweep } from "./sweep_file.ts";

/** One run of a sweep: a variant with a seed. */
export interface SweepRun {
  /** `linear-s1337`. */
  readonly name: string;
  readonly variant: Variant;
  readonly seed: number;
  /** Where it trains. */
  readonly folder: string;
  /** Where its result is kept. */
  readonly result: string;
}

/** The runs of a sweep: all variants with the first seed, then with the next, so that a table fills evenly. */
export function runsOf(
  { name: sweep, variants, seeds }: Sweep,
  { results }: { results: string },
): SweepRun[] {
  return seeds.flatMap((seed) =>
    variants.map((variant) => {
      const name = `${variant.name}-s${seed}`;
      return {
        name,
        variant,
        seed,
        folder: join("out", sweep, name),
        result: join(results, `${name}.json`),
      };
    })
  );
}
