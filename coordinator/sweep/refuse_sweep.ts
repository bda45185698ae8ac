import { LockstepError } from "../../shared/errors.ts";

/** The refusal of a file that is no sweep, for a reason: `a seed stands in seeds more than once`. */
export function refuseSweep(source: string, reason: string): LockstepError {
  return new LockstepError("E_CONFIG", `Cannot read the sweep ${source} as ${reason}`);
}
