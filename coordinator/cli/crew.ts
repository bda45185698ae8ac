import { LockstepError } from "../../shared/errors.ts";
import { type CoordinatorServer, memoryPair } from "../../shared/protocol/channel.ts";
import { Compute } from "../../worker/compute.ts";
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

/** How long members have to leave after DRAIN, in ms. */
const GRACE_MS = 10_000;

/** Starts the members: in this process for one, without any socket; as processes of their own for more. */
export function musterCrew({ count, verbose }: { count: number; verbose: boolean }): Promise<Crew> {
  return count === 1 ? Promise.resolve(musterOne()) : musterProcesses(count, verbose);
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

async function musterProcesses(count: number, verbose: boolean): Promise<Crew> {
  const server: CoordinatorServer = await openControlServer();
  const workers = launchLocal({ count, endpoint: server.endpoint, verbose });
  return {
    members: new Members(server, workers.ids, workers.lost),
    async finish() {
      await workers.finish(GRACE_MS);
      await server.close();
    },
    async kill() {
      await workers.kill();
      await server.close();
    },
  };
}
