import { dirname, join } from "node:path";
import { LockstepError } from "./errors.ts";
import { disk, fileError, safeName } from "./files.ts";

/** Where a run keeps what; all are paths that begin with the run's directory. */
export interface RunDir {
  path: string;
  /** The configuration as run, every default written out. */
  config: string;
  manifest: string;
  metrics: string;
  evals: string;
  samples: string;
  log: string;
  /** The folder for a CheckpointStore. */
  checkpoints: string;
}

/** The files of a run in the directory `path`, whether they exist or not. */
export function runDirAt(path: string): RunDir {
  return {
    path,
    config: join(path, "config.toml"),
    manifest: join(path, "manifest.json"),
    metrics: join(path, "metrics.jsonl"),
    evals: join(path, "eval.jsonl"),
    samples: join(path, "samples.jsonl"),
    log: join(path, "log.jsonl"),
    checkpoints: join(path, "checkpoints"),
  };
}

/** Which directory is meant: `out_dir` if given, otherwise a name made from the preset's, below `root`. */
export interface RunDirOptions {
  out_dir: string | null;
  preset: string;
  /** Default "out". */
  root?: string;
}

/**
 * Makes the directory of a new run and claims it: `out_dir`, or the first free of `out/PRESET`, `out/PRESET-2`, …. Of several
 * processes that start at once each gets another one. Throws E_OUT_DIR if `out_dir` holds a run already or cannot be
 * written, E_NO_SPACE, E_PATH for a preset that is no name.
 */
export async function createRunDir(options: RunDirOptions): Promise<RunDir> {
  const path = options.out_dir ?? await claimFreeName(options);
  const run = runDirAt(path);
  try {
    await disk.mkdir(path);
    await refuseOtherRun(run);
    // Of two processes, only one can make it: that is the claim.
    if (!await makeNew(run.checkpoints)) throw await holdsOtherRun(run);
    await disk.syncDir(path);
    await disk.syncDir(dirname(path));
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new LockstepError(
        "E_OUT_DIR",
        `Cannot start a run in ${path} as it is a file: choose another --out_dir`,
      );
    }
    throw fileError(error, `make the run's directory ${path}`);
  }
  return run;
}

/**
 * Finds the directory of a run to resume: `out_dir`, or the last of `out/PRESET`, `out/PRESET-2`, … that holds a run.
 * Throws E_OUT_DIR if there is none.
 */
export async function openRunDir(options: RunDirOptions): Promise<RunDir> {
  const found = await findRunDir(options);
  if (found !== null) return found;
  const where = options.out_dir ?? numbered(options, 1);
  throw new LockstepError(
    "E_OUT_DIR",
    `Cannot resume ${where} as it holds no run with config.toml and manifest.json: leave out --init_from=resume ` +
      `or name the run's --out_dir`,
  );
}

/** As `openRunDir`; null if there is none. */
export async function findRunDir(options: RunDirOptions): Promise<RunDir | null> {
  const names = options.out_dir === null ? await usedNames(options) : [options.out_dir];
  for (const path of names.toReversed()) {
    const run = runDirAt(path);
    if (await exists(run.config) && await exists(run.manifest)) return run;
  }
  return null;
}

/** Takes back the claim of a start in `path` that died before it had made anything of its own, such as a config.toml. */
export async function clearFalseStart(path: string): Promise<void> {
  const { config, manifest, checkpoints } = runDirAt(path);
  if (await exists(config) || await exists(manifest)) return;
  await Deno.remove(checkpoints).catch(() => {}); // only where it is empty
}

function numbered(options: RunDirOptions, n: number): string {
  const name = safeName(options.preset, "a preset");
  return join(options.root ?? "out", n === 1 ? name : `${name}-${n}`);
}

async function claimFreeName(options: RunDirOptions): Promise<string> {
  const root = options.root ?? "out";
  try {
    await disk.mkdir(root);
    for (let n = 1;; n++) {
      const path = numbered(options, n);
      if (await makeNew(path)) return path;
    }
  } catch (error) {
    throw fileError(error, `make a run's directory in ${root}`);
  }
}

async function usedNames(options: RunDirOptions): Promise<string[]> {
  const paths: string[] = [];
  for (let n = 1;; n++) {
    const path = numbered(options, n);
    if (!await exists(path)) return paths;
    paths.push(path);
  }
}

async function makeNew(path: string): Promise<boolean> {
  try {
    await Deno.mkdir(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function refuseOtherRun(run: RunDir): Promise<void> {
  for (const path of [run.config, run.manifest, run.metrics, run.checkpoints]) {
    if (await exists(path)) throw await holdsOtherRun(run);
  }
}

async function holdsOtherRun(run: RunDir): Promise<LockstepError> {
  const holds = await exists(run.config)
    ? "it already holds another: resume that with --init_from=resume or"
    : "another start claimed it and wrote no config.toml (it is starting now, or it died): remove the directory or";
  return new LockstepError(
    "E_OUT_DIR",
    `Cannot start a run in ${run.path} as ${holds} choose another --out_dir`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
