import assert from "node:assert/strict";
import { ALIVE, BEAT, DRAIN, leave, syncGet } from "../shared/protocol/sample_messages.ts";
import { fileURLToPath } from "node:url";
import { openControlServer } from "../../coordinator/control_server.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { Context } from "../../shared/zmq/socket.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { zmqTest } from "../shared/zmq/zmq_test_support.ts";

zmqTest("openControlClient() waits for a coordinator that is not there yet", async () => {
  const { coordinator, worker } = makeRunKeys();
  const first = await openControlServer({ endpoint: "tcp://127.0.0.1:*", keys: coordinator });
  const { endpoint } = first;
  await first.close();
  const client = await openControlClient(endpoint, { id: "early", keys: worker });
  client.send(ALIVE);
  const server = await openControlServer({ endpoint, keys: coordinator });
  const received = await server.receive();
  assert.deepEqual([received?.from, received?.role, received?.address], ["early", "worker", "127.0.0.1"]);
  await client.close();
  await server.close();
});

zmqTest(
  "openControlClient() without anyone listening can still be closed, in about a second and a half",
  async () => {
    const client = await openControlClient("ipc:///tmp/lockstep-nobody/control", { id: "alone" });
    client.send(ALIVE);
    const start = performance.now();
    await client.close();
    assert.ok(performance.now() - start < 2_500);
  },
);

zmqTest("ControlClient.close() loses nothing of what was sent to a coordinator that reads late", async () => {
  for (let round = 0; round < 20; round++) {
    const server = await openControlServer();
    const client = await openControlClient(server.endpoint, { id: "w" });
    for (let step = 0; step < 100; step++) client.send(syncGet(step));
    const closed = client.close();
    for (let step = 0; step < 100; step++) {
      const message = (await server.receive())?.message;
      assert.ok(message?.type === "SYNC_GET" && message.index === step);
    }
    await closed;
    await server.close();
  }
});

zmqTest("openControlClient() refuses an endpoint that is none", async () => {
  await assert.rejects(openControlClient("nonsense", { id: "w" }), { code: "E_ZMQ" });
});

zmqTest("openControlClient() rejects receive() when the coordinator speaks another protocol", async () => {
  const context = new Context();
  const router = context.socket("router", { linger: 0 });
  const client = await openControlClient(router.bind("tcp://127.0.0.1:*"), { id: "w", insecure: true });
  client.send(ALIVE);
  let frames = router.tryReceive();
  for (; frames === null; frames = router.tryReceive()) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  router.trySend([frames[0], new Uint8Array([1, 2])]);
  await assert.rejects(client.receive(), { code: "E_DECODE" });
  await client.close();
  await context.close();
});

zmqTest(
  "openControlClient() in another process answers within milliseconds, and that process ends by itself",
  async () => {
    const server = await openControlServer();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", fileURLToPath(import.meta.resolve("./control_client_child.ts")), server.endpoint],
      stdin: "null",
      stdout: "null",
    }).spawn();
    assert.equal((await server.receive())?.from, "child");
    const times: number[] = [];
    for (let round = 0; round < 200; round++) {
      const start = performance.now();
      server.send("child", BEAT);
      assert.equal((await server.receive())?.message.type, "BEAT");
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[100];
    assert.ok(median < 5, `${median} ms a round trip`); // 0.2 ms on two busy cores; the bound is for slow machines
    server.send("child", DRAIN);
    assert.deepEqual((await server.receive())?.message, leave("drained"));
    assert.equal((await child.status).code, 0);
    await server.close();
  },
);
