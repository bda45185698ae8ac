import type { SweepResults } from "./compare_variants.ts";
import { readResult } from "./run_result.ts";
import type { Sweep } from "./sweep_file.ts";
import { runsOf } from "./sweep_runs.ts";

/** The results that the runs of a sweep have left in the folder `results` so far. Throws E_DECODE for a damaged one. */
export async function readResults(sweep: Sweep, { results }: { results: string }): Promise<SweepResults> {
  const found = await Promise.all(runsOf(sweep, { results }).map(({ result }) => readResult(result)));
  return { sweep, results: found.filter((result) => result !== null) };
}
