import { join } from "node:path";
import { aliveFileOf, keepAlive } from "../../shared/alive_file.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { realClock } from "../../shared/clock.ts";
import { configHash } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { listDataFiles, readDataPiece } from "../../shared/data/data_files.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { faultsOf } from "../../shared/faults.ts";
import { disk } from "../../shared/files.ts";
import { fileSink, Log } from "../../shared/log.ts";
import { readValLosses } from "../../shared/metrics.ts";
import { stepScalars } from "../../shared/schedule.ts";
import { faultyDisk } from "../chaos/faulty_disk.ts";
import { faultyServer } from "../chaos/faulty_server.ts";
import { parseChaos, startChaos } from "../chaos/injection.ts";
import { readSnapshot } from "../checkpoints.ts";
import type { Snapshot } from "../snapshot.ts";
import { runCoordinator, type RunResult } from "../coordinator.ts";
import { claimEpoch, type Epoch } from "../epoch.ts";
import { Fingerprints } from "../fingerprints.ts";
import { Group, type GroupOptions } from "../group.ts";
import { Ledger } from "../ledger.ts";
import type { Chain } from "../ledger_chain.ts";
import { openLedger, readLedger } from "../ledger_files.ts";
import { type LocalRecord, readMembers, writeMembers } from "../launch/members_file.ts";
import { lockOf } from "../launch/local.ts";
import { outputOf, workerEnvironment } from "../launch/node.ts";
import { rendezvousOf } from "../launch/rendezvous.ts";
import { runKeys } from "../run_keys.ts";
import { Attachment } from "../steering/attachment.ts";
import { RunSteering } from "../steering/run_steering.ts";
import type { TimeLimit } from "../time_limit.ts";
import type { WorkerChoice } from "./choose_workers.ts";
import { type Crew, musterCrew } from "./crew.ts";
import type { OpenedRun } from "./open_run.ts";
import { RunLines } from "./run_lines.ts";
import type { TrainObserver } from "./train_observer.ts";

export interface CoordinateOptions {
  /** With the engine and the device that were chosen. */
  readonly config: RunConfig;
  readonly workers: WorkerChoice;
  readonly observer: TrainObserver;
  readonly signal: AbortSignal | undefined;
  /** When it must end so that it is saved in time. */
  readonly limit: TimeLimit;
}

/** Coordinates a run in a directory that is its own, from claiming it to the end of all its workers. */
export async function coordinate(
  { dir, snapshot, accept, fingerprint, isOtherwise }: OpenedRun,
  { config, workers, observer, signal, limit }: CoordinateOptions,
): Promise<RunResult> {
  const warn = (sentence: string) => observer.warn?.(sentence);
  using _alive = keepAlive(aliveFileOf(dir.path));
  const epoch = claimEpoch(dir.path);
  const before = await readLedger(dir.path);
  for (const problem of before.problems) warn(`The ledger of ${dir.path} is not whole: ${problem}`);
  const { chain, file } = openLedger(dir.path, { epoch: epoch.number, before });
  using ledgerFile = file;
  using log = fileSink(dir.log);
  using lines = new RunLines(dir, { config, warn });
  const notes = new Log("coordinator", { sinks: [log] });
  const note = (event: string, fields: Record<string, unknown>) => notes.info(event, fields);
  const faults = faultsOf("coordinator");
  const store = new CheckpointStore(dir.checkpoints, {
    keep: config.keep_checkpoints,
    epoch: epoch.number,
    disk: faults === undefined ? disk : faultyDisk(disk, faults),
  });
  await store.sweep();
  const { endpoint, bind, at, isElastic, minNodes, maxNodes } = rendezvousOf(config);
  const membersPath = join(dir.path, "members.json");
  const locks = join(dir.path, "locks");
  const left = isElastic ? await readMembers(membersPath) : null;
  const crew = await musterCrew({
    ...workers,
    engine: config.engine,
    verbose: config.verbose,
    maxRestarts: config.max_restarts,
    endpoint,
    bind,
    output: outputOf(config),
    environment: (localRank) => workerEnvironment(config, { localRank, count: workers.count }),
    keys: endpoint === undefined || config.insecure ? undefined : await runKeys(dir.path, config.keys),
    insecure: config.insecure,
    locks: isElastic ? locks : undefined,
    patience: config.patience,
    adopted: left?.local,
  });
  const fingerprints = new Fingerprints({ expected: fingerprint, deterministic: config.deterministic, warn });
  const ledger = new Ledger(ledgerFile, chain, config.deterministic ? undefined : warn);
  if (isOtherwise) {
    ledger.rewind(snapshot?.step ?? 0, {
      epoch: epoch.number,
      reason: "the run goes on with another engine",
    });
  }
  const shouldStop = (): boolean => steering.shouldStop || (signal?.aborted ?? false);
  const group = new Group({
    ...startOf(ledger, { chain, config }),
    server: faults === undefined ? crew.server : faultyServer(crew.server, faults),
    clock: realClock,
    epoch: epoch.number,
    config,
    configHash: configHash(config),
    runId: config.rdzv_id,
    trains: !config.eval_only,
    expected: Math.max(minNodes * crew.count, left?.roster.length ?? 0),
    lastCallMs: left === null ? undefined : RECOVERY_MS,
    minMembers: Math.min(config.min_workers, maxNodes * crew.count),
    maxMembers: maxNodes * crew.count,
    address: at?.host,
    patienceMs: 1_000 * config.patience,
    takesOthers: isElastic,
    own: new Set(crew.pids.keys()),
    inProcess: crew.inProcess,
    files: config.data_dir === null ? [] : await listDataFiles(config.data_dir),
    readData: (file, index) => readDataPiece(config.data_dir ?? "", { file, index }),
    restore: () => newestState(store, snapshot),
    shouldStop,
    warn,
    note(event, fields) {
      note(event, fields);
      if (event === "roster" && isElastic) keepMembers(membersPath, { crew, locks, roster: group.ids });
    },
    admit: (id, loaded) => fingerprints.check(id, loaded.fingerprint),
    reach: faults === undefined ? undefined : (point, step) => faults.reach(point, step),
  });
  crew.watch(group);
  const steering = new RunSteering({
    ...{ group, config, warn, note, runDir: dir.path },
    minMembers: Math.min(config.min_workers, maxNodes * crew.count),
    savedStep: snapshot?.step ?? null,
  });
  const attachment = new Attachment(steering, { runDir: dir.path, crew, note });
  const calm = startFaults(config, { crew, note });
  const fencing = setInterval(() => checkEpoch(epoch, group), FENCING_MS);
  try {
    if (!crew.inProcess) await attachment.open();
    const result = await runCoordinator({
      group,
      ledger,
      audits: () => fingerprints.areAlike,
      config,
      configHash: configHash(config),
      store,
      bestValLoss: snapshot?.bestValLoss ?? null,
      shouldStop,
      limit,
      shouldSave: () => steering.shouldSave,
      shouldEstimate: () => steering.shouldEstimate,
      isPaused: () => steering.isPaused,
      async accept(info) {
        attachment.open(); // loads what one process has no other use for: not before its worker is there
        await lines.open(group.position.step);
        return await accept(info, fingerprints.common);
      },
      valLosses: () => readValLosses(dir.evals),
      observer: steering.observing(lines.noting(observer)),
    }).finally(() => attachment.close());
    calm();
    lines.ended(result.stopped ? "stopped" : "finished");
    await crew.finish();
    if (isElastic) await forgetMembers(membersPath, locks);
    return result;
  } catch (error) {
    group.close();
    // Workers that wait for another coordinator, or have one already, are not this one's to end.
    const goesOn = isElastic && error instanceof LockstepError &&
      (error.code === "E_STALE" || error.exitCode === EXIT.tryAgain);
    await (goesOn ? crew.leave() : crew.kill());
    throw error;
  } finally {
    clearInterval(fencing);
    calm();
  }
}

/** A coordinator that comes back waits so long for the members of the last roster, in ms. */
const RECOVERY_MS = 2_000;

/** Where the ledger ends: members of an earlier epoch may be there, or one step before it with that step prepared. */
function startOf(
  ledger: Ledger,
  { chain, config }: { chain: Chain; config: RunConfig },
): Pick<GroupOptions, "position" | "decided" | "generation"> {
  const step = ledger.next;
  const last = chain.steps.get(step - 1);
  return {
    position: { step, stateHash: null },
    generation: last?.generation,
    decided: last === undefined
      ? null
      : { step: last.step, gradHash: last.grad_hash, ...stepScalars(last.step, config) },
  };
}

/** Writes down who belongs, for a coordinator that comes after this one. */
async function keepMembers(
  path: string,
  { crew, locks, roster }: { crew: Crew; locks: string; roster: readonly string[] },
): Promise<void> {
  const local = [...crew.pids].map(([id, pid]): LocalRecord => ({ id, pid, lock: lockOf(locks, id) }));
  // Where it cannot be written, a later coordinator waits for nobody and starts its workers anew.
  await writeMembers(path, { endpoint: crew.server.endpoint, local, roster: [...roster] }).catch(() => {});
}

/** The run is over, and nobody comes after this one. */
async function forgetMembers(path: string, locks: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
  await Deno.remove(locks, { recursive: true }).catch(() => {});
}

function startFaults(
  { chaos }: RunConfig,
  { crew, note }: { crew: Crew; note: GroupOptions["note"] },
): () => void {
  if (chaos === null) return () => {};
  const injections = parseChaos(chaos);
  if (crew.inProcess) {
    throw new LockstepError(
      "E_CONFIG",
      "Cannot inject faults into a run of one process: use --nproc_per_node=2",
    );
  }
  return startChaos(injections, { pids: () => crew.pids, note });
}

/** How often it is made sure that no other coordinator has taken the run over, in ms. */
const FENCING_MS = 1_000;

function checkEpoch(epoch: Epoch, group: Group): void {
  try {
    epoch.check();
  } catch (error) {
    group.fail(error);
  }
}

/** The newest state that verifies; null where none was stored yet. */
async function newestState(store: CheckpointStore, opened: Snapshot | null): Promise<Snapshot | null> {
  const steps = await store.steps();
  if (steps.length === 0) return null;
  const found = await store.load("latest");
  return found.step === opened?.step ? opened : await readSnapshot(found);
}
