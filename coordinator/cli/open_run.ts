import { dirname, join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import {
  changesEngine,
  continueManifest,
  createManifest,
  type Numerics,
  readManifest,
  writeManifest,
} from "../../shared/checkpoint/manifest.ts";
import { CheckpointStore, type FoundCheckpoint } from "../../shared/checkpoint/store.ts";
import { numericsOf } from "../../shared/config/config_hash.ts";
import { systemKeys } from "../../shared/config/keys/system.ts";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { readToml, toToml } from "../../shared/config/toml.ts";
import { LockstepError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../shared/files.ts";
import { gitRevision } from "../../shared/git_revision.ts";
import { canonicalHash } from "../../shared/hash.ts";
import { describeMachine } from "../../shared/machine.ts";
import { SOURCES } from "../../shared/own_process.ts";
import { createRunDir, openRunDir, type RunDir } from "../../shared/run_dir.ts";
import type { Asked } from "../../worker/engines/decide_engine.ts";
import { isEnginePath } from "../../worker/engines/open_engine.ts";
import { moduleHash } from "../../worker/module_hash.ts";
import { rendezvousOf } from "../launch/rendezvous.ts";
import { readSnapshot } from "../checkpoints.ts";
import type { Snapshot } from "../snapshot.ts";
import type { MemberInfo } from "../member_info.ts";

/** A run's directory, new or to go on with. */
export interface OpenedRun {
  readonly dir: RunDir;
  /** Where it goes on; null for a new run. */
  readonly snapshot: Snapshot | null;
  /** Sentences about checkpoints that were passed over. */
  readonly warnings: readonly string[];
  /** Called before the first step: from then on the run is held to what its members compute. Throws E_CONFIG_HASH. */
  accept(info: MemberInfo, fingerprint: string | null): Promise<{ configHash: string }>;
  /** What the run's own program gave for a fixed input so far; null where that is not known or may change. */
  readonly fingerprint: string | null;
  /** Whether it goes on with other numerics, so that steps beyond the checkpoint may come out otherwise. */
  readonly isOtherwise: boolean;
  /** Takes back what a start has made that failed before `accept`. */
  abandon(): Promise<void>;
}

export interface OpenRunOptions {
  /** Names the directory unless `out_dir` does. */
  readonly preset: string;
  readonly engine: { readonly name: string; readonly device: string };
}

/**
 * Claims the directory of a new run, or opens the one to resume, with its newest good checkpoint. Throws E_OUT_DIR,
 * E_NO_SPACE; on resuming E_CONFIG_HASH if the configuration would give other weights, E_NUMERICS if the engine would and
 * `deterministic` forbids it, E_NO_CHECKPOINT, E_CHECKPOINT_CORRUPT.
 */
export function openRun(config: RunConfig, options: OpenRunOptions): Promise<OpenedRun> {
  return config.init_from === "resume" ? resumeRun(config, options) : startRun(config, options);
}

async function startRun(config: RunConfig, { preset }: OpenRunOptions): Promise<OpenedRun> {
  const dir = await createRunDir({ out_dir: config.out_dir, preset });
  let accepted = false;
  return {
    dir,
    snapshot: null,
    warnings: [],
    fingerprint: null,
    isOtherwise: false,
    async accept(info, fingerprint) {
      accepted = true;
      await writeFileAtomic(dir.config, toToml(config));
      const manifest = createManifest({
        run_id: crypto.randomUUID(),
        created: new Date().toISOString(),
        versions: { lockstep: project.version, deno: Deno.version.deno, ...packageVersions() },
        git_revision: await gitRevision(SOURCES),
        machine: describeMachine(),
        fingerprint,
        numerics: numericsOfRun(config, info),
      });
      await writeManifest(dir.manifest, manifest);
      return { configHash: manifest.config_hash };
    },
    async abandon() {
      const { metrics, evals, log, checkpoints, path } = dir;
      const first = ["epoch-1", "ledger-1.jsonl"].map((name) => join(path, name));
      const made = [
        metrics,
        evals,
        log,
        ...first,
        checkpoints,
        path,
        ...(config.out_dir === null ? [dirname(path)] : []),
      ];
      if (!accepted) await removeEmpty(made);
    },
  };
}

async function resumeRun(config: RunConfig, { preset, engine }: OpenRunOptions): Promise<OpenedRun> {
  const dir = await openRunDir({ out_dir: config.out_dir, preset });
  const manifest = await readManifest(dir.manifest);
  // What is known before members form, so that nobody waits for them to be refused.
  const changes = changesEngine(manifest.numerics, {
    ...manifest.numerics,
    engine: engine.name,
    device: engine.device,
    threads: config.threads,
    engine_module: isEnginePath(engine.name) ? await moduleAt(engine.name, "engine") : null,
    model_module: config.model === null ? null : await moduleAt(config.model, "model"),
    config: numericKeys(config),
  });
  if (changes && config.deterministic) refuseOtherEngine(manifest.numerics, engine);
  const found = await newestCheckpoint(dir, config);
  const snapshot = found === null ? null : await readSnapshot(found);
  const step = snapshot?.step ?? 0;
  const passedOver = found?.warnings ?? [];
  return {
    dir,
    snapshot,
    warnings: changes
      ? [...passedOver, describeOtherEngine(manifest.numerics, { engine, step })]
      : passedOver,
    fingerprint: changes ? null : manifest.fingerprint,
    isOtherwise: changes,
    async accept(info, fingerprint) {
      const numerics = numericsOfRun(config, info);
      changesEngine(manifest.numerics, numerics);
      await keepConfig(dir, config);
      const continued = continueManifest(manifest, { step, numerics, fingerprint });
      if (canonicalHash(continued) !== canonicalHash(manifest)) await writeManifest(dir.manifest, continued);
      return { configHash: continued.config_hash };
    },
    abandon: () => Promise.resolve(),
  };
}

/** The newest checkpoint; null where there is none yet, and workers that live on may have the state. */
async function newestCheckpoint(dir: RunDir, config: RunConfig): Promise<FoundCheckpoint | null> {
  const store = new CheckpointStore(dir.checkpoints);
  const mayLiveOn = rendezvousOf(config).isElastic && (await store.steps()).length === 0;
  return mayLiveOn ? null : await store.load("latest");
}

/** The engine and device that a run asks for; one that is resumed goes on with its own where both are left open. */
export async function askedEngine(config: RunConfig, { preset }: { preset: string }): Promise<Asked> {
  const { engine, device, init_from, out_dir } = config;
  if (init_from !== "resume" || engine !== "auto" || device !== "auto") return { engine, device };
  const { numerics } = await readManifest((await openRunDir({ out_dir, preset })).manifest);
  const known = systemKeys.device.catch("auto"); // another version may know others
  return {
    engine: numerics.engine,
    device: known.parse(numerics.device),
    because: "as the run was computed so far",
  };
}

type Place = OpenRunOptions["engine"];

function refuseOtherEngine(before: Numerics, { name, device }: Place): never {
  throw new LockstepError(
    "E_NUMERICS",
    `Cannot resume with --deterministic on ${name} on ${device} as the run was computed by ${before.engine} on ` +
      `${before.device}, which has other bits: give --engine=${before.engine}, or leave out --deterministic`,
  );
}

function describeOtherEngine(
  before: Numerics,
  { engine: { name, device }, step }: { engine: Place; step: number },
): string {
  return `the run was computed by ${before.engine} on ${before.device} up to here; from step ${step} on its bits are ` +
    `those of ${name} on ${device}, and only that engine gives them again`;
}

/** What the bits of the weights depend on. */
function numericsOfRun(config: RunConfig, info: MemberInfo): Numerics {
  return {
    engine: info.engine,
    device: info.device,
    threads: config.threads,
    graph: info.graph,
    slice_rows: info.sliceRows === config.batch_size ? null : info.sliceRows,
    engine_module: info.engineSource === null ? null : { path: info.engine, sha256: info.engineSource },
    model_module: config.model === null ? null : { path: config.model, sha256: info.modelSource },
    data: { ...info.data },
    config: numericKeys(config),
  };
}

async function moduleAt(path: string, what: "model" | "engine"): Promise<{ path: string; sha256: string }> {
  try {
    return { path, sha256: await moduleHash(path) };
  } catch (cause) {
    throw new LockstepError(
      what === "model" ? "E_MODEL" : "E_ENGINE",
      `Cannot resume with the ${what} ${path} as it cannot be read: start where the run was started, or give --${what}`,
      { cause },
    );
  }
}

function numericKeys(config: RunConfig): Numerics["config"] {
  return JSON.parse(JSON.stringify(Object.fromEntries(numericsOf(config))));
}

/** A run that goes on otherwise than before, say to more iterations, does so when it is resumed again too. */
async function keepConfig(dir: RunDir, config: RunConfig): Promise<void> {
  const before = await Deno.readTextFile(dir.config);
  const { init_from, out_dir } = parseRunConfig(readToml(before, { source: dir.config }), {
    source: dir.config,
  });
  const now = toToml({ ...config, init_from, out_dir });
  if (now !== before) await writeFileAtomic(dir.config, now);
}

/** Removes what a run that never began has made; a directory that holds something else stays. */
async function removeEmpty(paths: readonly string[]): Promise<void> {
  for (const path of paths) await Deno.remove(path).catch(() => {});
}

/** Versions of the packages that compute. */
function packageVersions(): Record<string, string> {
  const computing = ["onnxruntime-node", "@tensorflow/tfjs", "zeromq"];
  const entries = Object.entries(project.imports).filter(([name]) => computing.includes(name));
  return Object.fromEntries(
    entries.map(([name, specifier]) => [name, specifier.slice(specifier.lastIndexOf("@") + 1)]),
  );
}
