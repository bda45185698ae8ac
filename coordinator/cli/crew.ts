import { LockstepError } from "../../shared/errors.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { memoryPair } from "../../shared/protocol/channel.ts";
import { createIpcDirectory, type IpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { Compute } from "../../worker/compute.ts";
import { fetchEngine, hasPackage } from "../../worker/engines/fetch_engine.ts";
import { LocalReducing } from "../../worker/local_reducing.ts";
import { runWorker } from "../../worker/worker.ts";
import { openControlServer } from "../control_server.ts";
import { launchLocal } from "../launch/local.ts";
import { Members } from "../members.ts";

/** The members of a run and the way to end them. */
export interface Crew {
  readonly members: Members;
  /** After DRAIN: waits until all members have left. */
  finish(): Promise<void>;
  /** Ends all members at once. */
  kill(): Promise<void>;
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
  /** Where the coordinator listens (`tcp://…`); none is a socket in a folder that only this user can reach. */
  readonly endpoint?: string;
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
  const worker = runWorker(client, { id, localRank: 0, endpoint: null, computing, reducing });
  // What ends with a code has been sent as ERROR too; anything else is a bug that must not be lost.
  const lost = worker.then<never>(
    () => new Promise(() => {}),
    (error) => error instanceof LockstepError ? new Promise(() => {}) : Promise.reject(error),
  );
  const end = async () => {
    await server.close();
    await worker.catch(() => {});
  };
  return {
    members: new Members(server, [id], lost),
    async finish() {
      await worker;
      await server.close();
    },
    kill: end,
  };
}

/** Every socket lies in `directory`, so that nothing is left of members that were killed. */
async function musterProcesses(
  { count, engine, gpus, verbose, endpoint }: CrewOptions,
  directory: IpcDirectory,
): Promise<Crew> {
  const runOptions = await fetchEngine(engine);
  const keys = endpoint === undefined ? undefined : makeRunKeys();
  const server = await openControlServer({
    endpoint: endpoint ?? directory.endpoint("control"),
    keys: keys?.coordinator,
  });
  const workers = launchLocal({
    count,
    endpoint: server.endpoint,
    directory,
    keys: keys?.worker,
    verbose,
    runOptions,
    gpus,
  });
  const close = async () => {
    await server.close();
    directory.remove();
  };
  return {
    members: new Members(server, workers.ids, workers.lost),
    async finish() {
      await workers.finish(GRACE_MS);
      await close();
    },
    async kill() {
      await workers.kill();
      await close();
    },
  };
}
