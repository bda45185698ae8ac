import { join } from "node:path";
import { askedHash } from "../../shared/config/config_hash.ts";
import { aliveFileOf, keepAlive } from "../../shared/alive_file.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { EXIT, isErrorCode, LockstepError } from "../../shared/errors.ts";
import { isThere } from "../../shared/files.ts";
import { keyFileName, readMemberKeys } from "../../shared/key_files.ts";
import type { MemberKeys } from "../../shared/keys.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import { resolveHost } from "../../shared/resolve_host.ts";
import { createIpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { fetchEngine } from "../../worker/engines/fetch_engine.ts";
import { launchLocal, type ProcessEnd, type WorkerEnd } from "../launch/local.ts";
import { nodeOutput, workerEnvironment } from "../launch/node.ts";
import { rendezvousOf } from "../launch/rendezvous.ts";
import { unknownHost } from "../launch/role.ts";
import { chooseWorkers } from "./choose_workers.ts";

export interface NodeAgentOptions {
  readonly config: RunConfig;
  /** Ends the node's workers: they leave the run. */
  readonly signal: AbortSignal;
  /** Tells a person. */
  say(sentence: string): void;
}

/**
 * A node of a run that is coordinated on another machine: starts this machine's workers, which join there, starts those
 * again that die, and ends with the run. Rejects with what its workers were refused for (E_KEY, E_RUN, E_VERSION,
 * E_CONFIG_HASH, E_TOO_FEW …), E_RDZV where the coordinator's host has no address, E_WORKER_DIED where none is left.
 */
export async function runNodeAgent({ config, signal, say }: NodeAgentOptions): Promise<void> {
  using _alive = keepAlive(aliveFileOf(null));
  const { endpoint, at } = rendezvousOf(config);
  if (endpoint === undefined || at === null) throw new RangeError("a node needs a run to join");
  const { engine, device, max_restarts, patience, insecure, verbose, rdzv_id } = config;
  const chosen = await chooseEngine({ engine, device });
  const { count, gpus, reason } = chooseWorkers(config, chosen);
  const runOptions = await fetchEngine(chosen.name);
  const keys = insecure ? undefined : await awaitKeys(config.keys ?? "", { patience, signal });
  const name = config.node_rank === null ? `node-${Deno.pid}` : `node${config.node_rank}`;
  say(`${name}: ${count} worker${count === 1 ? "" : "s"} (${reason}) join ${at.host}:${at.port}`);
  const directory = createIpcDirectory();
  const ends = new Ends(count, { say, signal });
  const workers = launchLocal({
    ...{ count, endpoint, directory, keys, insecure, verbose, runOptions, gpus, patience },
    prefix: `${name}-`,
    firstLocalRank: config.local_rank ?? 0,
    maxRestarts: max_restarts,
    isFinal: (end) => signal.aborted || (end.code !== null && !isTakenForAnother(end)),
    words: [
      `--config_hash=${askedHash(config)}`,
      ...(rdzv_id === null ? [] : [`--rdzv_id=${rdzv_id}`]),
    ],
    output: nodeOutput(config),
    environment: (localRank) => workerEnvironment(config, { localRank, count }),
    onEnd: (end) => ends.add(end),
  });
  // It lets a worker tell that it leaves.
  const leave = () => workers.pids.forEach((pid) => sendSignal(pid, "SIGTERM"));
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    await ends.all;
  } catch (error) {
    await workers.kill();
    const isLost = error instanceof LockstepError && error.code === "E_TOO_FEW";
    throw isLost && (await resolveHost(at.host)).length === 0 ? unknownHost(at.host, patience) : error;
  } finally {
    signal.removeEventListener("abort", leave);
    directory.remove();
  }
}

/** How often keys are looked for that the coordinator makes on a disk that all nodes share, in ms. */
const LOOK_MS = 200;

async function awaitKeys(
  path: string,
  { patience, signal }: { patience: number; signal: AbortSignal },
): Promise<MemberKeys> {
  for (const end = Date.now() + 1_000 * patience; Date.now() < end && !signal.aborted;) {
    if (await isThere(join(path, keyFileName("worker")))) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return await readMemberKeys(path, "worker");
}

/** The ends of a node's workers: fulfilled once the run has sent all of them home, rejected once one was refused. */
class Ends {
  readonly #all = Promise.withResolvers<void>();

  constructor(
    private running: number,
    private readonly options: Pick<NodeAgentOptions, "say" | "signal">,
  ) {}

  get all(): Promise<void> {
    return this.#all.promise;
  }

  add({ id, how, restarts, code }: WorkerEnd): void {
    const { say, signal } = this.options;
    // A worker that was asked to leave before it could listen ends by that signal.
    if (code === 0 || signal.aborted) return this.#settle(() => this.#all.resolve());
    if (restarts) return say(`warning ${id} is started again: ${how}`);
    if (code !== null) return this.#all.reject(refusalOf(id, { how, code }));
    say(`warning ${id} is gone, and not started again: ${how}`);
    const error = new LockstepError(
      "E_WORKER_DIED",
      `Cannot go on: ${id}, this node's last worker, is gone: ${how}`,
    );
    this.#settle(() => this.#all.reject(error));
  }

  #settle(end: () => void): void {
    this.running--;
    if (this.running === 0) end();
  }
}

/** A node that takes the place of one whose machine has vanished may be there before its coordinator has noticed that. */
function isTakenForAnother({ how }: ProcessEnd): boolean {
  return /\berror E_DUPLICATE_ID: /.test(how);
}

/** What a worker said that it ended for. */
function refusalOf(id: string, { how, code }: { how: string; code: number }): LockstepError {
  const [, name, message] = /\berror (E_\w+): (.*)$/s.exec(how) ?? [];
  if (name !== undefined && isErrorCode(name)) return new LockstepError(name, message);
  return new LockstepError(
    code === EXIT.tryAgain ? "E_TOO_FEW" : "E_WORKER_DIED",
    `Cannot go on as ${id} has ended: ${how}`,
  );
}
