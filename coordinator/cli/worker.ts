import { dirname } from "node:path";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { about, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { CollectiveClient } from "../../worker/collective/collective_client.ts";
import { ComputeClient } from "../../worker/compute_client.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { runWorker } from "../../worker/worker.ts";
import { defineCommand } from "./command.ts";

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
    local_rank: wholeNumber(0).default(0).register(about, {
      help: "Index among the workers of this machine",
    }),
    verbose: truth().default(false).register(about, { help: "Print the stack of an unexpected error" }),
  },
  example:
    "lockstep worker --endpoint=ipc:///tmp/run/control --data-endpoint=ipc:///tmp/run/worker-0 --id=worker-0",
  async run({ options }) {
    const { endpoint, data_endpoint, id, local_rank } = options;
    if (endpoint === "none" || data_endpoint === "none") {
      throw new LockstepError("E_USAGE", "Cannot join a run: --endpoint and --data-endpoint are required");
    }
    endWithParent(data_endpoint);
    const reducing = new CollectiveClient();
    const computing = new ComputeClient((node, byteOffset) => reducing.announce(node, byteOffset));
    const channel = await openControlClient(endpoint, { id });
    await runWorker(channel, { id, localRank: local_rank, endpoint: data_endpoint, computing, reducing });
    return 0;
  },
});

/**
 * Ends this process when its parent does: the parent holds the other end of standard input. One that was killed has left
 * the folder of the sockets behind.
 */
async function endWithParent(dataEndpoint: string): Promise<void> {
  if (Deno.stdin.isTerminal()) return;
  for await (const _ of Deno.stdin.readable) {
    // Nothing is sent; only the end matters.
  }
  await Deno.remove(dirname(dataEndpoint.slice("ipc://".length)), { recursive: true }).catch(() => {});
  Deno.exit(EXIT.tryAgain);
}
