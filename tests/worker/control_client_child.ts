import { openControlClient } from "../../worker/control_client.ts";

/** A worker process: greets the coordinator at its one argument, repeats each BEAT, leaves when drained, and ends by itself. */
const client = await openControlClient(Deno.args[0], { id: "child" });
client.send({ type: "BEAT" });
for (let message = await client.receive(); message?.type === "BEAT"; message = await client.receive()) {
  client.send(message);
}
client.send({ type: "LEAVE", reason: "drained" });
client.close();
