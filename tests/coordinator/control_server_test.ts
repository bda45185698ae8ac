import assert from "node:assert/strict";
import { ALIVE } from "../shared/protocol/sample_messages.ts";
import { NO_SESSION } from "../../shared/protocol/messages.ts";
import { type ControlServer, openControlServer } from "../../coordinator/control_server.ts";
import { encodeMessage, MAX_MESSAGE_BYTES } from "../../shared/protocol/codec.ts";
import { Poller } from "../../shared/zmq/poller.ts";
import { Context, type Frame, type Socket } from "../../shared/zmq/socket.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { channelContract } from "../shared/protocol/channel_contract.ts";
import { zmqTest } from "../shared/zmq/zmq_test_support.ts";

const TCP = "tcp://127.0.0.1:*";

channelContract({
  name: "openControlServer() over ipc",
  open: async (id) => {
    const server = await openControlServer();
    return { server, client: await openControlClient(server.endpoint, { id }) };
  },
  test: zmqTest,
});

channelContract({
  name: "openControlServer() over tcp with keys",
  open: async (id) => {
    const { coordinator, worker } = makeRunKeys();
    const server = await openControlServer({ endpoint: TCP, keys: coordinator });
    return { server, client: await openControlClient(server.endpoint, { id, keys: worker }) };
  },
  test: zmqTest,
});

/** A server and a bare socket that may send anything to it, under the name `stranger`. */
async function withStranger(
  use: (
    sides: { server: ControlServer; stranger: Socket; reply(): Promise<Frame[] | null> },
  ) => Promise<void>,
): Promise<void> {
  const server = await openControlServer();
  const context = new Context();
  const stranger = context.socket("dealer", { routingId: makeRoutingId("stranger"), linger: 0 });
  stranger.connect(server.endpoint);
  const poller = new Poller(context);
  const reply = async () => {
    await poller.wait(5_000, { readable: [stranger] });
    return stranger.tryReceive();
  };
  try {
    await use({ server, stranger, reply });
  } finally {
    await poller.close();
    await context.close();
    await server.close();
  }
}

/** Only Linux tells; elsewhere 0. */
function openDescriptors(): number {
  return Deno.build.os === "linux" ? [...Deno.readDirSync("/proc/self/fd")].length : 0;
}

zmqTest(
  "openControlServer() tells a sender why its message was refused, counts it, and reads on",
  () =>
    withStranger(async ({ server, stranger, reply }) => {
      stranger.trySend([new Uint8Array([1, 2, 3])]);
      const frames = await reply();
      assert.match(
        new TextDecoder().decode(frames?.[0]),
        /ERROR.*E_DECODE.*Cannot read a control message of 3 bytes/s,
      );
      stranger.trySend([new Uint8Array(1), new Uint8Array(1)]);
      stranger.trySend([encodeMessage(ALIVE)]);
      assert.deepEqual(await server.receive(), {
        from: "stranger",
        role: "local",
        address: null,
        message: ALIVE,
      });
      assert.deepEqual([...server.refused], [["E_DECODE", 2]]);
    }),
);

zmqTest(
  "openControlServer() survives thousands of bad messages from one that reads no answers",
  () =>
    withStranger(async ({ server, stranger }) => {
      let sent = 0;
      for (
        const bytes of Array.from({ length: 3_000 }, (_, index) => new Uint8Array(index % 50).fill(index))
      ) {
        while (!stranger.trySend([bytes])) await new Promise((resolve) => setTimeout(resolve, 1));
        sent++;
      }
      while (!stranger.trySend([encodeMessage(ALIVE)])) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert.deepEqual(await server.receive(), {
        from: "stranger",
        role: "local",
        address: null,
        message: ALIVE,
      });
      assert.equal(server.refused.get("E_DECODE"), sent);
    }),
);

zmqTest(
  "openControlServer() disconnects who sends a larger frame than any message, and serves the others",
  () =>
    withStranger(async ({ server, stranger }) => {
      stranger.trySend([new Uint8Array(MAX_MESSAGE_BYTES + 1)]);
      const client = await openControlClient(server.endpoint, { id: "honest" });
      client.send(ALIVE);
      assert.equal((await server.receive())?.from, "honest");
      await client.close();
    }),
);

zmqTest("openControlServer() tells workers apart and answers each", async () => {
  const server = await openControlServer();
  const ids = Array.from({ length: 8 }, (_, index) => `worker-${index}`);
  const clients = await Promise.all(ids.map((id) => openControlClient(server.endpoint, { id })));
  for (const client of clients) client.send(ALIVE);
  const seen = new Set<string>();
  for (let count = 0; count < ids.length; count++) seen.add((await server.receive())?.from ?? "");
  assert.deepEqual([...seen].sort(), ids);
  for (const id of ids) {
    server.send(id, { type: "ERROR", ...NO_SESSION, code: "E_RUN", message: id });
  }
  for (const [index, client] of clients.entries()) {
    const message = await client.receive();
    assert.ok(message?.type === "ERROR" && message.message === ids[index]);
  }
  await Promise.all([...clients, server].map((side) => side.close()));
});

zmqTest("openControlServer() names an endpoint that it cannot bind", async () => {
  const server = await openControlServer({ endpoint: TCP, insecure: true });
  await assert.rejects(openControlServer({ endpoint: server.endpoint, insecure: true }), {
    code: "E_ZMQ",
    message:
      `Cannot listen on ${server.endpoint} as another program does, the port is in use: end it, or choose ` +
      "another port with --rdzv_endpoint or --master_port",
  });
  await server.close();
});

zmqTest(
  "ControlServer.close() and the clients' leave no descriptor and no directory behind, and are prompt",
  async () => {
    const cycle = async () => {
      const server = await openControlServer();
      const client = await openControlClient(server.endpoint, { id: "w" });
      client.send(ALIVE);
      await server.receive();
      const start = performance.now();
      await Promise.all([server.close(), client.close()]);
      assert.ok(performance.now() - start < 5_000); // some milliseconds on a machine that has time
      const path = server.endpoint.slice("ipc://".length);
      assert.throws(() => Deno.statSync(path.slice(0, path.lastIndexOf("/"))), Deno.errors.NotFound);
    };
    await cycle();
    const before = openDescriptors();
    for (let count = 0; count < 10; count++) await cycle();
    assert.equal(openDescriptors(), before);
  },
);
