import assert from "node:assert/strict";
import { Monitor } from "../../../shared/zmq/monitor.ts";
import { Context } from "../../../shared/zmq/socket.ts";
import { shutdownConnection } from "../../../shared/zmq/shutdown_connection.ts";
import { zmqTest } from "./zmq_test_support.ts";

async function nextEvent(monitor: Monitor) {
  for (;;) {
    const event = monitor.tryReceive();
    if (event !== null) return event;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

zmqTest(
  "Monitor tells of connections in order, with their descriptor, until they are shut down",
  async () => {
    const context = new Context();
    const pull = context.socket("pull");
    const kinds = ["accepted", "ready", "disconnected"] as const;
    const monitor = new Monitor(context, { watched: pull, kinds });
    const push = context.socket("push", { linger: 0, reconnectIvl: -1 });
    push.connect(pull.bind("tcp://127.0.0.1:*"));
    const accepted = await nextEvent(monitor);
    assert.equal(accepted.kind, "accepted");
    assert.equal((await nextEvent(monitor)).kind, "ready");
    push.trySend([new Uint8Array(3)]);
    let message = pull.tryReceiveFrom();
    for (; message === null; message = pull.tryReceiveFrom()) {
      await new Promise((done) => setTimeout(done, 1));
    }
    assert.deepEqual(message.source, {
      userId: null,
      address: "127.0.0.1",
      descriptor: accepted.value,
    });
    shutdownConnection(accepted.value);
    assert.deepEqual(await nextEvent(monitor), { kind: "disconnected", value: accepted.value });
    monitor.close();
    await context.close();
  },
);

zmqTest("Monitor keeps more events than a queue of libzmq holds by itself", async () => {
  const context = new Context(), peers = new Context();
  const pull = context.socket("pull");
  const kinds = ["accepted", "ready", "disconnected"] as const;
  const monitor = new Monitor(context, { watched: pull, kinds });
  const endpoint = pull.bind("tcp://127.0.0.1:*");
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    const push = peers.socket("push", { linger: 0, immediate: true, reconnectIvl: -1 });
    push.connect(endpoint);
    while (!push.trySend([new Uint8Array(1)])) await new Promise((done) => setTimeout(done, 1));
    push.close();
  }
  const counts = { accepted: 0, ready: 0, disconnected: 0 };
  while (counts.disconnected < rounds) {
    const { kind } = await nextEvent(monitor);
    assert.ok(kind === "accepted" || kind === "ready" || kind === "disconnected");
    counts[kind]++;
  }
  assert.deepEqual(counts, { accepted: rounds, ready: rounds, disconnected: rounds });
  await peers.close();
  await context.close();
});
