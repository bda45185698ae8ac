/** Several members of a run in one process: `many_members_child.ts ENDPOINT FOLDER FIRST COUNT`. */
import { openControlClient } from "../../worker/control_client.ts";
import { Compute } from "../../worker/compute.ts";
import { LocalReducing } from "../../worker/local_reducing.ts";
import { runWorker } from "../../worker/worker.ts";

const [endpoint, folder, first, count] = Deno.args;
await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    const id = `m${Number(first) + i}`;
    const reducing = new LocalReducing();
    const computing = new Compute((node, byteOffset) => reducing.announce(node, byteOffset));
    const channel = await openControlClient(endpoint, { id });
    await runWorker(channel, { id, localRank: 0, endpoint: `ipc://${folder}/${id}`, computing, reducing });
  }),
);
