import { dirname } from "node:path";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { readMemberKeys } from "../../shared/key_files.ts";
import { decodeMemberKeys, type MemberKeys } from "../../shared/keys.ts";
import { CollectiveClient } from "../../worker/collective/collective_client.ts";
import { ComputeClient } from "../../worker/compute_client.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { runWorker } from "../../worker/worker.ts";
import { defineCommand } from "./command.ts";
import { ParentPipe } from "./parent_pipe.ts";

/** `worker`: one member of a run, started by its coordinator. */
export const command = defineCommand({
  summary: "Be one member of a run; coordinators start workers by themselves",
  usage: "--endpoint=ENDPOINT --data-endpoint=ENDPOINT --id=NAME",
  options: {
    endpoint: text("an endpoint").default("none").register(about, { help: "Where the coordinator listens" }),
    data_endpoint: text("an ipc endpoint").default("none").register(about, {
      help: "Where this member's data sockets are made, in a folder that its coordinator removes",
    }),
    id: text("a name").default("worker-0").register(about, { help: "This member's name in the run" }),
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
    verbose: truth().default(false).register(about, { help: "Print the stack of an unexpected error" }),
  },
  example:
    "lockstep worker --endpoint=ipc:///tmp/run/control --data-endpoint=ipc:///tmp/run/worker-0 --id=worker-0",
  async run({ options }) {
    const { endpoint, data_endpoint, id, local_rank, insecure } = options;
    if (endpoint === "none" || data_endpoint === "none") {
      throw new LockstepError("E_USAGE", "Cannot join a run: --endpoint and --data-endpoint are required");
    }
    const parent = Deno.stdin.isTerminal() ? null : new ParentPipe();
    const keys = await readKeys(options.keys, parent);
    if (parent !== null) endWithParent(parent, data_endpoint);
    const reducing = new CollectiveClient();
    const computing = new ComputeClient((node, byteOffset) => reducing.announce(node, byteOffset));
    const channel = await openControlClient(endpoint, { id, keys, insecure });
    await runWorker(channel, { id, localRank: local_rank, endpoint: data_endpoint, computing, reducing });
    return 0;
  },
});

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
