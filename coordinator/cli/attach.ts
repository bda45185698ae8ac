import { about, optional, text } from "../../shared/config/kinds.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { readMemberKeys } from "../../shared/key_files.ts";
import { connectToRun } from "../steering/connect_to_run.ts";
import { openSteeringClient, type SteeringClient } from "../steering/steering_client.ts";
import { defineCommand } from "./command.ts";

/** A run's address elsewhere: `trainer-7:29400`, `[::1]:29400`. */
const ADDRESS = /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/;

/** `attach`: a console on a run that goes on. From a pipe it takes commands too, and ends with 1 if one was refused. */
export const command = defineCommand({
  summary: "Look at a run that goes on, and steer it, from a console",
  usage: "RUN|HOST:PORT",
  options: {
    keys: optional(text("a path")).default(null).register(about, {
      help: "The run's keys for admins, a folder or a file; needed for HOST:PORT",
    }),
  },
  example: "lockstep attach out/sort-demo",
  async run({ options, words }) {
    const [where, ...more] = words;
    if (where === undefined || more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot attach as one run is required, its directory or HOST:PORT: given are ${words.length}`,
      );
    }
    const run = ADDRESS.test(where) ? await connectTo(where, options.keys) : await connectToRun(where);
    try {
      const { openConsole } = await import("./attach_console.ts"); // with the packages that only it needs
      const refused = await openConsole(run);
      return Deno.stdin.isTerminal() || refused === 0 ? 0 : EXIT.failure;
    } finally {
      await run.close();
    }
  },
});

async function connectTo(address: string, keys: string | null): Promise<SteeringClient> {
  if (keys === null) {
    throw new LockstepError(
      "E_KEY",
      `Cannot attach to ${address} without keys: give the folder of the run's with --keys`,
    );
  }
  return await openSteeringClient(`tcp://${address}`, { keys: await readMemberKeys(keys, "admin") });
}
