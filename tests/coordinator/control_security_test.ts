import assert from "node:assert/strict";
import { ALIVE, DRAIN, leave, syncGet } from "../shared/protocol/sample_messages.ts";
import { fileURLToPath } from "node:url";
import { type ControlServer, openControlServer } from "../../coordinator/control_server.ts";
import { makeRunKeys, type MemberKeys, type RunKeys } from "../../shared/keys.ts";
import type { WorkerChannel } from "../../shared/protocol/channel.ts";
import { encodeMessage } from "../../shared/protocol/codec.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";
import { makeKeyPair } from "../../shared/zmq/curve.ts";
import { Context } from "../../shared/zmq/socket.ts";
import { openControlClient } from "../../worker/control_client.ts";
import { zmqTest } from "../shared/zmq/zmq_test_support.ts";

const TCP = "tcp://127.0.0.1:*";
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isTrue: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isTrue()) {
    assert.ok(performance.now() < end, `waited 10 s for ${what}`);
    await sleep(1);
  }
}

interface Guarded {
  server: ControlServer;
  keys: RunKeys;
  /** What has come, as `id: TYPE`, and `id gone`. */
  seen: string[];
  join(id: string, keys?: MemberKeys): Promise<WorkerChannel>;
}

/** A server over tcp with keys, and what it hears. */
async function guarded(use: (guarded: Guarded) => Promise<void>): Promise<void> {
  const keys = makeRunKeys();
  const server = await openControlServer({ endpoint: TCP, keys: keys.coordinator });
  const seen: string[] = [];
  server.onGone = (from) => seen.push(`${from} gone`);
  const reading = (async () => {
    for (let next = await server.receive(); next !== null; next = await server.receive()) {
      seen.push(`${next.from}: ${next.message.type}`);
    }
  })();
  const clients: WorkerChannel[] = [];
  const join = async (id: string, given = keys.worker) => {
    const client = await openControlClient(server.endpoint, { id, keys: given });
    clients.push(client);
    return client;
  };
  try {
    await use({ server, keys, seen, join });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await server.close();
    await reading;
  }
}

/** Keys of the role that the coordinator does not know. */
function unknownKeys({ coordinator }: RunKeys): MemberKeys {
  return { role: "worker", ...makeKeyPair(), coordinator: coordinator.publicKey };
}

/** Sends bytes over bare TCP; resolves when the other side has closed. */
async function sendRaw(endpoint: string, bytes: Uint8Array): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(endpoint.split(":").pop()) });
  await connection.write(bytes).catch(() => {});
  const buffer = new Uint8Array(4_096);
  while (await connection.read(buffer).catch(() => null) !== null);
}

zmqTest("openControlServer() and openControlClient() refuse tcp without keys, on loopback too", async () => {
  await assert.rejects(openControlServer({ endpoint: TCP }), { code: "E_KEY", message: /lockstep keygen/ });
  await assert.rejects(openControlClient("tcp://127.0.0.1:1", { id: "w" }), {
    code: "E_KEY",
    message: /--insecure/,
  });
});

zmqTest("openControlServer() tells the role and the address of each key", async () => {
  const keys = makeRunKeys();
  const server = await openControlServer({ endpoint: TCP, keys: keys.coordinator });
  for (const role of ["worker", "admin"] as const) {
    const client = await openControlClient(server.endpoint, { id: role, keys: keys[role] });
    client.send(ALIVE);
    assert.deepEqual(await server.receive(), {
      from: role,
      role,
      address: "127.0.0.1",
      message: ALIVE,
    });
    await client.close();
  }
  assert.deepEqual([...server.refused], []);
  await server.close();
});

zmqTest(
  "openControlServer() refuses an unknown key with E_KEY, counts it and reads nothing of it",
  () =>
    guarded(async ({ server, keys, seen, join }) => {
      const stranger = await join("stranger", unknownKeys(keys));
      stranger.send(ALIVE);
      await assert.rejects(stranger.receive(), { code: "E_KEY", message: /does not admit this key/ });
      await until(() => server.refused.has("E_KEY"), "the refusal to be counted");
      assert.deepEqual([seen, [...server.refused.keys()]], [[], ["E_KEY"]]);
    }),
);

zmqTest(
  "openControlClient() says so where whoever listens has other keys than were given",
  () =>
    guarded(async ({ keys, join }) => {
      const { coordinator } = makeRunKeys().worker;
      const client = await join("w", { ...keys.worker, coordinator });
      await assert.rejects(client.receive(), {
        code: "E_KEY",
        message: /other keys, or none/,
      });
    }),
);

zmqTest("openControlClient() with keys says so where the coordinator uses none", async () => {
  const server = await openControlServer({ endpoint: TCP, insecure: true });
  const client = await openControlClient(server.endpoint, { id: "w", keys: makeRunKeys().worker });
  await assert.rejects(client.receive(), { code: "E_KEY", message: /other keys, or none/ });
  await client.close();
  await server.close();
});

zmqTest(
  "openControlServer() parses nothing that comes without a key: whatever is sent, only E_KEY is counted",
  () =>
    guarded(async ({ server, seen, join }) => {
      const context = new Context();
      // A valid message and a broken one: parsing them would be seen as a message or as E_DECODE.
      for (const bytes of [encodeMessage(ALIVE), new Uint8Array([1, 2])]) {
        const plain = context.socket("dealer", { routingId: makeRoutingId("stranger"), linger: 0 });
        plain.connect(server.endpoint);
        plain.trySend([bytes]);
      }
      const greeting = new Uint8Array(64);
      greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
      greeting.set(new TextEncoder().encode("CURVE"), 12);
      const hello = new Uint8Array([4, 200, 5, ...new TextEncoder().encode("HELLO"), ...new Uint8Array(194)]);
      for (
        const bytes of [
          new Uint8Array(64),
          new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
          new Uint8Array([...greeting, ...hello]),
          crypto.getRandomValues(new Uint8Array(60_000)),
        ]
      ) await sendRaw(server.endpoint, bytes);
      const honest = await join("honest");
      honest.send(ALIVE);
      await until(() => seen.length > 0, "an honest worker");
      assert.deepEqual(seen, ["honest: BEAT"]);
      assert.deepEqual([...server.refused.keys()], ["E_KEY"]);
      await until(() => (server.refused.get("E_KEY") ?? 0) >= 5, "all strangers to be counted");
      await context.close();
    }),
);

zmqTest(
  "openControlServer() refuses a second process under an id with E_DUPLICATE_ID; the first goes on",
  () =>
    guarded(async ({ seen, join }) => {
      const original = await join("w"), thief = await join("w");
      original.send(ALIVE);
      await until(() => seen.length === 1, "the original");
      thief.send(leave("I am w"));
      const answer = await thief.receive();
      assert.ok(answer?.type === "ERROR" && answer.code === "E_DUPLICATE_ID");
      original.send(syncGet(0));
      await until(() => seen.length === 2, "the original");
      assert.deepEqual(seen, ["w: BEAT", "w: SYNC_GET"]);
    }),
);

zmqTest(
  "ControlServer.deny() ends a key's connections and keeps it out; allow() lets a key in",
  () =>
    guarded(async ({ server, keys, seen, join }) => {
      const client = await join("w");
      let gone = 0;
      client.onGone = () => gone++;
      client.send(ALIVE);
      await until(() => seen.length === 1, "the first message");
      server.deny(keys.worker.publicKey);
      await assert.rejects(client.receive(), { code: "E_KEY" });
      assert.deepEqual([seen, gone], [["w: BEAT", "w gone"], 1]);
      const late = unknownKeys(keys);
      server.allow(late.publicKey, "worker");
      const other = await join("other", late);
      other.send(ALIVE);
      await until(() => seen.length === 3, "the admitted key");
    }),
);

zmqTest(
  "ControlServer.disconnect() ends a connection; the client hears it, comes back and can speak",
  () =>
    guarded(async ({ server, seen, join }) => {
      const client = await join("w");
      const told: string[] = [];
      client.onGone = () => {
        told.push("gone");
        client.send(leave("lost, as there is no connection"));
      };
      client.onReconnected = () => {
        told.push("reconnected");
        client.send(syncGet(1));
      };
      const reading = client.receive();
      client.send(ALIVE);
      await until(() => seen.length === 1, "the first message");
      server.disconnect("w");
      await until(() => seen.length === 3, "the return");
      assert.deepEqual(seen, ["w: BEAT", "w gone", "w: SYNC_GET"]);
      assert.deepEqual(told, ["gone", "reconnected"]);
      server.send("w", DRAIN);
      assert.deepEqual(await reading, DRAIN);
    }),
);

zmqTest(
  "openControlServer() holds 256 connections that say nothing, ends the older, serves a worker",
  () =>
    guarded(async ({ server, seen, join }) => {
      const port = Number(server.endpoint.split(":").pop());
      const silent: Deno.TcpConn[] = [];
      let closed = 0;
      for (let count = 0; count < 300; count++) {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        silent.push(connection);
        const buffer = new Uint8Array(1_024);
        (async () => {
          while (await connection.read(buffer).catch(() => null) !== null);
          closed++;
        })();
      }
      await until(() => closed >= 40, "the oldest to be closed");
      const honest = await join("honest");
      honest.send(ALIVE);
      await until(() => seen.length > 0, "an honest worker");
      assert.ok(closed < 60, `${closed} of 300 closed`);
      await until(() => (server.refused.get("E_KEY") ?? 0) >= 40, "the strangers to be counted");
      await server.close();
      await until(() => closed === 300, "the connections to end");
      for (const connection of silent) connection.close();
    }),
);

zmqTest("CoordinatorServer.onGone() follows kill -9 of a worker's process within a second", async () => {
  const server = await openControlServer();
  const script = new URL("../worker/control_client_child.ts", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(script), server.endpoint],
    stdin: "null",
    stdout: "null",
  }).spawn();
  assert.equal((await server.receive())?.from, "child");
  const gone = new Promise<string>((resolve) => server.onGone = resolve);
  const reading = server.receive();
  const start = performance.now();
  child.kill("SIGKILL");
  assert.equal(await gone, "child");
  assert.ok(performance.now() - start < 1_000); // 2 ms on an idle machine
  await child.status;
  await server.close();
  assert.equal(await reading, null);
});

zmqTest(
  "openControlClient() hears that its coordinator is gone, and is back with one that has its keys",
  async () => {
    const { coordinator, worker } = makeRunKeys();
    const first = await openControlServer({ endpoint: TCP, keys: coordinator });
    const client = await openControlClient(first.endpoint, { id: "w", keys: worker });
    const told: string[] = [];
    client.onGone = () => told.push("gone");
    client.onReconnected = () => {
      told.push("reconnected");
      client.send(syncGet(1));
    };
    const reading = client.receive();
    client.send(ALIVE);
    await first.receive();
    await first.close();
    await until(() => told.length === 1, "the end of the first");
    const second = await openControlServer({ endpoint: first.endpoint, keys: coordinator });
    assert.equal((await second.receive())?.message.type, "SYNC_GET");
    assert.deepEqual(told, ["gone", "reconnected"]);
    await client.close();
    await second.close();
    assert.equal(await reading, null);
  },
);
