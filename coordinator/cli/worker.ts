import { hostname } from "node:os";
import { dirname } from "node:path";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { faultsOf } from "../../shared/faults.ts";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { readMemberKeys } from "../../shared/key_files.ts";
import { decodeMemberKeys, type MemberKeys } from "../../shared/keys.ts";
import { CollectiveClient } from "../../worker/collective/collective_client.ts";
import { ComputeClient } from "../../worker/compute_client.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { runWorker } from "../../worker/worker.ts";
import { makeKeyPair } from "../../shared/zmq/curve.ts";
import { isSlurmStep } from "../launch/environment.ts";
import { onWarningSignal } from "../../shared/warning_signal.ts";
import { holdLock } from "../../shared/process_lock.ts";
import { createIpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { rendezvousEndpoint } from "../launch/rendezvous.ts";
import { defineCommand } from "./command.ts";
import { openProgress } from "./progress.ts";
import { ParentPipe } from "./parent_pipe.ts";

/** `worker`: one member of a run, started by its coordinator or by hand. */
export const command = defineCommand({
  summary: "Join a run as a worker; a coordinator starts those of its own machine by itself",
  usage: "--rdzv_endpoint=HOST:PORT [--rdzv_id=RUN]",
  options: {
    rdzv_endpoint: optional(text("HOST:PORT")).default(null).register(about, {
      help: "Where the coordinator of the run listens",
    }),
    rdzv_id: optional(text("a name")).default(null).register(about, {
      help: "The run to join; none joins any",
    }),
    id: optional(text("a name")).default(null).register(about, {
      help: "This member's name in the run; none is made of this machine's name",
    }),
    keys: optional(text("a path")).default(null).register(about, {
      help:
        "The run's keys for workers, a folder or a file; - reads them from the first line of standard input",
    }),
    insecure: truth().default(false).register(about, {
      help: "Whether to join over tcp without keys",
    }),
    local_rank: wholeNumber(0).default(0).register(about, {
      help: "Index among the workers of this machine",
    }),
    endpoint: optional(text("an endpoint")).default(null).register(about, {
      help: "Where the coordinator that started this worker listens",
    }),
    data_endpoint: optional(text("an ipc endpoint")).default(null).register(about, {
      help: "Where this member's data sockets are made, in a folder that its coordinator removes",
    }),
    host: optional(text("a name")).default(null).register(about, {
      help:
        "Names this machine; workers of one name share memory, others talk over the network; none finds out",
    }),
    outlives: optional(text("a path")).default(null).register(about, {
      help:
        "A file to lock by a worker that waits for another coordinator when the one that started it is gone",
    }),
    patience: optional(wholeNumber(1)).default(null).register(about, {
      unit: "seconds",
      help: "How long to wait for a coordinator; none is 300, or not at all for one that started this worker",
    }),
    config_hash: optional(text("a hash")).default(null).register(about, {
      help: "What the run's configuration must hash to, for nodes that were all given the same one",
    }),
    verbose: truth().default(false).register(about, { help: "Print the stack of an unexpected error" }),
  },
  example: "lockstep worker --rdzv_endpoint=127.0.0.1:29500 --rdzv_id=my-run",
  async run({ options }) {
    const { rdzv_endpoint, rdzv_id, local_rank, data_endpoint, outlives, insecure } = options;
    const guard = { keys: options.keys !== null, insecure };
    const endpoint = rdzv_endpoint === null ? options.endpoint : rendezvousEndpoint(rdzv_endpoint, guard);
    if (endpoint === null) {
      throw new LockstepError("E_USAGE", "Cannot join a run: --rdzv_endpoint=HOST:PORT is required");
    }
    const parent = Deno.stdin.isTerminal() ? null : new ParentPipe();
    const keys = await readKeys(options.keys, parent);
    const isOwn = data_endpoint !== null; // of the coordinator that started this worker
    if (isOwn && parent !== null) endWithParent(parent, data_endpoint);
    const patience = options.patience ?? (isOwn ? null : PATIENCE_S);
    const directory = isOwn ? null : createIpcDirectory();
    const id = options.id ?? `${hostname().replaceAll(/[^A-Za-z0-9._-]/g, "-").slice(0, 100)}-${Deno.pid}`;
    const leaving = new AbortController();
    // Slurm's signals reach all processes of a job: those of a run leave when their coordinator says so.
    const isLed = (isOwn || outlives !== null) && isSlurmStep(Deno.env.toObject());
    Deno.addSignalListener("SIGTERM", () => isLed || leaving.abort());
    onWarningSignal(() => {}); // the coordinator acts on it
    if (outlives !== null && holdLock(outlives) === null) throw duplicate(id);
    const faults = faultsOf(id);
    const reducing = new CollectiveClient();
    const computing = new ComputeClient((node, byteOffset) => reducing.announce(node, byteOffset));
    using bar = openProgress({ quiet: isOwn });
    const channel = await openControlClient(endpoint, { id, keys, insecure });
    try {
      const { stopped } = await runWorker(channel, {
        ...{ id, run: rdzv_id, localRank: local_rank, computing, reducing, signal: leaving.signal },
        host: options.host ?? undefined,
        links: endpoint.startsWith("tcp:")
          ? {
            bind: LOOPBACK_ENDPOINT.test(endpoint) ? "127.0.0.1" : "*",
            keys: insecure ? null : makeKeyPair(),
          }
          : undefined,
        endpoint: data_endpoint ?? directory?.endpoint("data") ?? null,
        patienceMs: patience === null ? undefined : 1_000 * patience,
        configHash: options.config_hash ?? undefined,
        onProgress: bar.update,
        reach: faults === undefined ? undefined : (point, step) => faults.reach(point, step),
      });
      if (stopped) {
        throw new LockstepError("E_INTERRUPTED", "The run was stopped, and goes on when it is started again");
      }
    } finally {
      directory?.remove();
    }
    return 0;
  },
});

/** A worker that somebody has started by hand waits so long for a coordinator, in seconds. */
const PATIENCE_S = 300;

function duplicate(id: string): LockstepError {
  return new LockstepError("E_DUPLICATE_ID", `Cannot start ${id} as it runs already on this machine`);
}

const LOOPBACK_ENDPOINT = /^tcp:\/\/127\./;

async function readKeys(path: string | null, parent: ParentPipe | null): Promise<MemberKeys | undefined> {
  if (path === null) return undefined;
  if (path !== "-") return await readMemberKeys(path, "worker");
  if (parent === null) {
    throw new LockstepError(
      "E_KEY",
      "Cannot read keys from a terminal: give a path, or pipe them to standard input",
    );
  }
  return decodeMemberKeys(await parent.firstLine(), { role: "worker", source: "standard input" });
}

/** Ends this process when its parent does. One that was killed has left the folder of the sockets behind. */
async function endWithParent(parent: ParentPipe, dataEndpoint: string): Promise<void> {
  await parent.ended();
  await Deno.remove(dirname(dataEndpoint.slice("ipc://".length)), { recursive: true }).catch(() => {});
  Deno.exit(EXIT.tryAgain);
}
