import { EXIT, LockstepError } from "../../shared/errors.ts";
import { about, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { CollectiveClient } from "../../worker/collective/collective_client.ts";
import { ComputeClient } from "../../worker/compute_client.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { runWorker } from "../../worker/worker.ts";
import { createIpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { defineCommand } from "./command.ts";

/** `worker`: one member of a run, started by its coordinator. */
export const command = defineCommand({
  summary: "Be one member of a run; coordinators start workers by themselves",
  usage: "--endpoint=ENDPOINT --id=NAME",
  options: {
    endpoint: text("an endpoint").default("none").register(about, { help: "Where the coordinator listens" }),
    id: text("a name").default("worker-0").register(about, { help: "This member's name in the run" }),
    local_rank: wholeNumber(0).default(0).register(about, {
      help: "Index among the workers of this machine",
    }),
    verbose: truth().default(false).register(about, { help: "Print the stack of an unexpected error" }),
  },
  example: "lockstep worker --endpoint=ipc:///tmp/run/control --id=worker-0",
  async run({ options }) {
    if (options.endpoint === "none") {
      throw new LockstepError("E_USAGE", "Cannot join a run: --endpoint is required");
    }
    endWithParent();
    Deno.addSignalListener("SIGINT", () => {}); // the coordinator decides what an interrupt from the terminal means
    const directory = createIpcDirectory();
    const reducing = new CollectiveClient();
    const computing = new ComputeClient((node, byteOffset) => reducing.announce(node, byteOffset));
    try {
      const channel = await openControlClient(options.endpoint, { id: options.id });
      const endpoint = directory.endpoint("data");
      await runWorker(channel, {
        id: options.id,
        localRank: options.local_rank,
        endpoint,
        computing,
        reducing,
      });
    } finally {
      directory.remove();
    }
    return 0;
  },
});

/** Ends this process when its parent does: the parent holds the other end of standard input. */
async function endWithParent(): Promise<void> {
  if (Deno.stdin.isTerminal()) return;
  for await (const _ of Deno.stdin.readable) {
    // Nothing is sent; only the end matters.
  }
  Deno.exit(EXIT.tryAgain);
}
