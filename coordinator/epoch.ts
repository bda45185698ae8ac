import { join } from "node:path";
import { LockstepError } from "../shared/errors.ts";
import { fileError } from "../shared/files.ts";

const EPOCH = /^epoch-(\d{1,9})$/;

/** One coordinator's life, claimed in the run's directory. */
export interface Epoch {
  readonly number: number;
  /** Throws E_STALE if another coordinator has claimed a later one, or this one's claim is gone. */
  check(): void;
}

/**
 * Claims the next epoch of a run: of several coordinators each gets another one, and all but the last are told so at their
 * next check. Throws E_OUT_DIR or E_NO_SPACE where the claim cannot be written.
 */
export function claimEpoch(dir: string): Epoch {
  const token = crypto.randomUUID();
  for (;;) {
    const number = Math.max(0, ...epochsOf(dir)) + 1;
    const path = join(dir, `epoch-${number}`);
    try {
      Deno.writeTextFileSync(path, token, { createNew: true });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw fileError(error, `claim epoch ${number} in ${dir}`);
    }
    const epoch = { number, check: () => check(dir, { number, token }) };
    epoch.check();
    return epoch;
  }
}

/** The epochs of a run that were claimed, in rising order. */
export function epochsOf(dir: string): number[] {
  const numbers = [...Deno.readDirSync(dir)].flatMap(({ name }) => {
    const [, number] = EPOCH.exec(name) ?? [];
    return number === undefined ? [] : [Number(number)];
  });
  return numbers.sort((a, b) => a - b);
}

function check(dir: string, { number, token }: { number: number; token: string }): void {
  const newest = Math.max(0, ...epochsOf(dir));
  const isMine = newest === number && Deno.readTextFileSync(join(dir, `epoch-${number}`)) === token;
  if (isMine) return;
  throw new LockstepError(
    "E_STALE",
    `Cannot coordinate the run in ${dir} any longer: another coordinator has taken it over (epoch ${newest}; this one is ${number})`,
  );
}
