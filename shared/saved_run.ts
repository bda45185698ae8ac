import { basename, dirname, resolve } from "node:path";
import { CheckpointStore, type FoundCheckpoint } from "./checkpoint/store.ts";
import { parseRunConfig } from "./config/parse_run_config.ts";
import type { RunConfig } from "./config/run_config.ts";
import { readToml } from "./config/toml.ts";
import { LockstepError } from "./errors.ts";
import { type RunDir, runDirAt } from "./run_dir.ts";

/** Which checkpoint of a run: the newest, the one with the lowest validation loss, or that of a step. */
export type CheckpointChoice = "latest" | "best" | number;

/** A run that has something to load. */
export interface SavedRun {
  readonly dir: RunDir;
  /** As run. */
  readonly config: RunConfig;
  /** Verified to the last byte; `checkpoint.warnings` says which others were passed over. */
  readonly checkpoint: FoundCheckpoint;
}

/**
 * Opens the run in the folder `path`, or the one that `path`, a folder `checkpoints/step-…`, belongs to; then that step
 * is what `which` is by default, otherwise "latest".
 *
 * Throws E_OUT_DIR if there is no run, E_CONFIG or E_MODEL if its config.toml is none, E_NO_CHECKPOINT or
 * E_CHECKPOINT_CORRUPT if it has none to load.
 */
export async function openSavedRun(path: string, which?: CheckpointChoice): Promise<SavedRun> {
  const { dir, step } = locate(path);
  return {
    dir,
    config: await readConfig(dir),
    checkpoint: await new CheckpointStore(dir.checkpoints).load(which ?? step ?? "latest"),
  };
}

function locate(path: string): { dir: RunDir; step?: number } {
  const whole = resolve(path);
  const [, digits] = /^step-(\d+)$/.exec(basename(whole)) ?? [];
  if (digits === undefined || basename(dirname(whole)) !== "checkpoints") return { dir: runDirAt(path) };
  return { dir: runDirAt(dirname(dirname(whole))), step: Number(digits) };
}

/** The configuration of the run that {@link openSavedRun} opens, without reading its weights. Throws as it does. */
export function readSavedConfig(path: string): Promise<RunConfig> {
  return readConfig(locate(path).dir);
}

/** Whether `path` is a run's folder or one of its checkpoints, to judge by the config.toml of the run. */
export async function isSavedRun(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(locate(path).dir.config)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

async function readConfig(dir: RunDir): Promise<RunConfig> {
  const source = dir.config;
  return parseRunConfig(readToml(await readText(dir), { source }), { source });
}

async function readText({ path, config }: RunDir): Promise<string> {
  try {
    return await Deno.readTextFile(config);
  } catch (cause) {
    throw new LockstepError(
      "E_OUT_DIR",
      `Cannot open the run ${path} as it must be a folder with a readable config.toml, such as out/sort-demo`,
      { cause },
    );
  }
}
