import { LockstepError } from "../../shared/errors.ts";
import type { RunKeys } from "../../shared/keys.ts";
import { type CoordinatorServer, memoryPair } from "../../shared/protocol/channel.ts";
import { createIpcDirectory, type IpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { Compute } from "../../worker/compute.ts";
import type { LocalRecord } from "../launch/members_file.ts";
import { fetchEngine, hasPackage } from "../../worker/engines/fetch_engine.ts";
import { LocalReducing } from "../../worker/local_reducing.ts";
import { runWorker } from "../../worker/worker.ts";
import { openControlServer } from "../control_server.ts";
import type { Group } from "../group.ts";
import { launchLocal, type WorkerEnd } from "../launch/local.ts";
import type { WorkerOutput } from "../launch/worker_output.ts";

/** The members of a run and the way to end them. */
export interface Crew {
  readonly server: CoordinatorServer;
  readonly count: number;
  /** True where the members are in this process. */
  readonly inProcess: boolean;
  /** The members' processes as they are now, by id. */
  readonly pids: ReadonlyMap<string, number>;
  /** Where the sockets of this machine lie; null where there are none. */
  readonly sockets: IpcDirectory | null;
  /** Tells a group of the ends of processes, those before it too. */
  watch(group: Group): void;
  /** After DRAIN: waits until all members have left. */
  finish(): Promise<void>;
  /** Ends all members at once. */
  kill(): Promise<void>;
  /** Leaves them to another coordinator. */
  leave(): Promise<void>;
}

export interface CrewOptions {
  readonly count: number;
  /** What the members compute with: its package is fetched before they start. */
  readonly engine: string;
  /** NVIDIA GPUs that the members have, as CUDA_VISIBLE_DEVICES names them: member i sees the i-th, and they go round. */
  readonly gpus?: readonly string[];
  readonly verbose: boolean;
  /** Whether members are processes of their own that talk over sockets; by default if there are several. */
  readonly sockets?: boolean;
  /** How often a worker that ends before it should is started again; 0 if not given. */
  readonly maxRestarts?: number;
  /** The run's keys: needed where the coordinator listens on tcp. */
  readonly keys?: RunKeys;
  /** Whether it listens on tcp without keys. */
  readonly insecure?: boolean;
  /** The folder of locks of workers that live on without this process, and wait for another coordinator; without it they don't. */
  readonly locks?: string;
  /** How many seconds they wait. */
  readonly patience?: number;
  /** Workers that an earlier coordinator has left. */
  readonly adopted?: readonly LocalRecord[];
  /** Where the coordinator is met (`tcp://…`); none is a socket in a folder that only this user can reach. */
  readonly endpoint?: string;
  /** Where it listens, if that is elsewhere. */
  readonly bind?: string;
  /** Where the standard error of members goes. */
  readonly output?: WorkerOutput;
  /** Variables of a member's environment. */
  environment?(localRank: number): Record<string, string>;
}

/** How long members have to leave after DRAIN, in ms. */
const GRACE_MS = 10_000;

/** Starts the members: in this process for one, without any socket; as processes of their own for more, or if told to. */
export async function musterCrew(options: CrewOptions): Promise<Crew> {
  const { count, engine, gpus = [], sockets = count > 1 } = options;
  // A package has a lock file of its own, and a GPU an environment of its own: both belong to a process.
  if (!sockets && !hasPackage(engine) && gpus.length === 0) return musterOne();
  const directory = createIpcDirectory();
  try {
    return await musterProcesses(options, directory);
  } catch (error) {
    directory.remove();
    throw error;
  }
}

function musterOne(): Crew {
  const id = "worker-0";
  const { server, client } = memoryPair(id);
  const reducing = new LocalReducing();
  const computing = new Compute((node, byteOffset) => reducing.announce(node, byteOffset));
  const worker: Promise<unknown> = runWorker(client, {
    id,
    localRank: 0,
    endpoint: null,
    computing,
    reducing,
  });
  // What ends with a code has been sent as ERROR too; anything else is a bug that must not be lost.
  worker.catch(() => {});
  const end = async () => {
    await server.close();
    await worker.catch(() => {});
  };
  return {
    server,
    count: 1,
    inProcess: true,
    pids: new Map([[id, Deno.pid]]),
    sockets: null,
    watch: (group) => worker.catch((error) => group.fail(error)),
    async finish() {
      await worker;
      await server.close();
    },
    kill: end,
    leave: end,
  };
}

/** Every socket lies in `directory`, so that nothing is left of members that were killed. */
async function musterProcesses(
  { engine, endpoint, bind = endpoint, maxRestarts = 0, keys, ...options }: CrewOptions,
  directory: IpcDirectory,
): Promise<Crew> {
  const { count, insecure } = options;
  const runOptions = await fetchEngine(engine);
  const server = await openControlServer({
    endpoint: bind ?? directory.endpoint("control"),
    keys: keys?.coordinator,
    insecure,
  });
  const ends = new Ends(count);
  const workers = launchLocal({
    ...{ ...options, endpoint: endpoint ?? server.endpoint, directory, runOptions, maxRestarts },
    keys: keys?.worker,
    onEnd: (end) => ends.add(end),
  });
  const close = async () => {
    await server.close();
    directory.remove();
  };
  return {
    server,
    count,
    inProcess: false,
    get pids() {
      return workers.pids;
    },
    sockets: directory,
    watch: (group) => ends.watch(group),
    async finish() {
      await workers.finish(GRACE_MS);
      await close();
    },
    async kill() {
      await workers.kill();
      await close();
    },
    leave: close,
  };
}

/** Ends of processes, told to a group as soon as there is one. */
class Ends {
  readonly #early: WorkerEnd[] = [];
  #group: Group | undefined;

  constructor(private running: number) {}

  add(end: WorkerEnd): void {
    if (this.#group === undefined) this.#early.push(end);
    else this.#tell(this.#group, end);
  }

  watch(group: Group): void {
    this.#group = group;
    for (const end of this.#early.splice(0)) this.#tell(group, end);
  }

  #tell(group: Group, { id, how, restarts }: WorkerEnd): void {
    group.tell({ type: "gone", id, how });
    if (restarts) return;
    this.running--;
    group.expectFewer();
    if (this.running > 0 || group.takesOthers) return;
    group.fail(new LockstepError("E_WORKER_DIED", `Cannot go on: ${id}, the last worker, is gone: ${how}`));
  }
}
