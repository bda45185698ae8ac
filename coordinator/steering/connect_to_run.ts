import { hostname } from "node:os";
import { LockstepError } from "../../shared/errors.ts";
import { readAttachFile } from "./attach_file.ts";
import { openSteeringClient, type SteeringClient } from "./steering_client.ts";

/** Connects to a run of this machine by its directory. Throws E_RUN where none goes on there. */
export async function connectToRun(dir: string): Promise<SteeringClient> {
  const { endpoint, pid, host } = await readAttachFile(dir);
  if (host !== hostname()) {
    throw new LockstepError(
      "E_RUN",
      `Cannot attach to ${dir} from here as its process ${pid} is on ${host}: attach there, or by HOST:PORT`,
    );
  }
  try {
    await Deno.lstat(endpoint.slice("ipc://".length));
  } catch (cause) {
    throw new LockstepError(
      "E_RUN",
      `Cannot attach to ${dir} as its process ${pid} has ended without a word: resume the run, then attach`,
      { cause },
    );
  }
  return await openSteeringClient(endpoint);
}
