import { openControlClient } from "../../worker/control_client.ts";
import { ALIVE, leave } from "../shared/protocol/sample_messages.ts";

/** A worker process: greets the coordinator at its one argument, answers each BEAT, leaves when drained, and ends by itself. */
const client = await openControlClient(Deno.args[0], { id: "child" });
client.send(ALIVE);
for (let message = await client.receive(); message?.type === "BEAT"; message = await client.receive()) {
  client.send(ALIVE);
}
client.send(leave("drained"));
client.close();
