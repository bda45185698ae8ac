import { CheckpointStore } from "../shared/checkpoint/store.ts";
import { parseRunConfig } from "../shared/config/parse_run_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { readToml } from "../shared/config/toml.ts";
import { LockstepError } from "../shared/errors.ts";
import { type RunDir, runDirAt } from "../shared/run_dir.ts";
import { readSnapshot, type Snapshot } from "./checkpoints.ts";

/** A run that has something to load. */
export interface TrainedRun {
  readonly dir: RunDir;
  readonly config: RunConfig;
  readonly snapshot: Snapshot;
  /** Sentences about checkpoints that were passed over. */
  readonly warnings: readonly string[];
}

/** Opens a run's folder with one of its checkpoints, verified. Throws E_OUT_DIR, E_NO_CHECKPOINT, E_CHECKPOINT_CORRUPT. */
export async function openTrainedRun(path: string, which: "latest" | "best" | number): Promise<TrainedRun> {
  const dir = runDirAt(path);
  const config = parseRunConfig(readToml(await readConfig(dir), { source: dir.config }), {
    source: dir.config,
  });
  const found = await new CheckpointStore(dir.checkpoints).load(which);
  return { dir, config, snapshot: await readSnapshot(found), warnings: found.warnings };
}

async function readConfig({ path, config }: RunDir): Promise<string> {
  try {
    return await Deno.readTextFile(config);
  } catch (cause) {
    throw new LockstepError("E_OUT_DIR", `Cannot open ${path} as a run: it has no readable config.toml`, {
      cause,
    });
  }
}
