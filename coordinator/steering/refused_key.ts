import { commandLine } from "../../shared/command_line.ts";
import { configKeys } from "../../shared/config/run_config.ts";
import { suggest } from "../../shared/config/suggest.ts";
import { LockstepError } from "../../shared/errors.ts";

export interface RefusedKeyOptions {
  readonly value: string;
  readonly runDir: string;
  /** The step of the newest checkpoint; null before the first. */
  readonly savedStep: number | null;
}

/** Why a key of a run that goes on is not changed, and what to do instead. */
export function refusedKey(key: string, { value, runDir, savedStep }: RefusedKeyOptions): LockstepError {
  const known = configKeys.get(key);
  if (known === undefined) {
    const nearest = suggest(key, configKeys.keys());
    return new LockstepError("E_CONFIG", `Cannot set ${key} as there is no such key: ${nearest}`);
  }
  if (!known.numerics) {
    const resume = commandLine(`train --init_from=resume --out_dir=${runDir} --${key}=${value}`);
    return new LockstepError(
      "E_CONFIG",
      `Cannot set ${key} while the run goes on, log_interval only: stop it, then ${resume}`,
    );
  }
  const from = `${runDir}@${savedStep ?? "STEP"}`;
  const saved = savedStep === null ? "save a checkpoint, then start" : "start";
  const branch = commandLine(
    `train ${runDir}/config.toml --init_from=${from} --${key}=${value} --out_dir=${runDir}-branch`,
  );
  return new LockstepError(
    "E_CONFIG",
    `Cannot set ${key} in this run as its weights would no longer be those of its configuration: ${saved} a branch with ${branch}`,
  );
}
