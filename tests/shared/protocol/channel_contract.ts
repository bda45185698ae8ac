import assert from "node:assert/strict";
import type { CoordinatorServer, Received, WorkerChannel } from "../../../shared/protocol/channel.ts";
import { type FromWorker, NO_SESSION, type ToWorker } from "../../../shared/protocol/messages.ts";
import { ALIVE, BEAT, DRAIN, leave } from "./sample_messages.ts";

/** A transport under test: `open` gives a server and one client of it, named `id`. */
export interface Transport {
  name: string;
  open(id: string): Promise<{ server: CoordinatorServer; client: WorkerChannel }>;
  test(title: string, fn: () => Promise<void>): void;
}

const MIB = 1 << 20;
const boundary = { ...NO_SESSION, epoch: 1, generation: 2, step: 3 };

function syncGet(index: number): FromWorker {
  return { type: "SYNC_GET", ...boundary, index, pieces: 1 };
}

function part(index: number, bytes: number): FromWorker {
  return { type: "SYNC_DATA", ...boundary, index, bytes: new Uint8Array(bytes).fill(index) };
}

function assertFrom(received: Received | null, message: FromWorker): void {
  assert.deepEqual([received?.from, received?.message], ["worker-1", message]);
}

/** What every implementation of `WorkerChannel` and `CoordinatorServer` must do. */
export function channelContract({ name, open, test }: Transport): void {
  async function withChannel(
    use: (sides: { server: CoordinatorServer; client: WorkerChannel }) => Promise<void>,
  ): Promise<void> {
    const { server, client } = await open("worker-1");
    try {
      await use({ server, client });
    } finally {
      await client.close();
      await server.close();
    }
  }

  /** The server can only answer a client that it has heard of. */
  async function greet(
    { server, client }: { server: CoordinatorServer; client: WorkerChannel },
  ): Promise<void> {
    client.send(ALIVE);
    assertFrom(await server.receive(), ALIVE);
  }

  test(`${name}: messages arrive unchanged, once, in order, both ways`, () =>
    withChannel(async ({ server, client }) => {
      for (let index = 0; index < 200; index++) client.send(syncGet(index));
      for (let index = 0; index < 200; index++) {
        assertFrom(await server.receive(), syncGet(index));
      }
      const sent: ToWorker[] = Array.from(
        { length: 200 },
        (_, index) => ({ type: "SYNC_GET", ...boundary, index, pieces: 1 }),
      );
      for (const message of sent) server.send("worker-1", message);
      for (const message of sent) assert.deepEqual(await client.receive(), message);
    }));

  test(`${name}: receive() waits for a message that comes later`, () =>
    withChannel(async ({ server, client }) => {
      await greet({ server, client });
      const atServer = server.receive(), atClient = client.receive();
      await new Promise((resolve) => setTimeout(resolve, 10));
      client.send(syncGet(1));
      server.send("worker-1", DRAIN);
      assertFrom(await atServer, syncGet(1));
      assert.deepEqual(await atClient, DRAIN);
    }));

  test(`${name}: 48 MiB in large parts pass whole to a slow reader, and small messages after them`, () =>
    withChannel(async ({ server, client }) => {
      const sending = Array.from({ length: 12 }, (_, index) => client.send(part(index, 4 * MIB)));
      client.send(leave("done"));
      for (let index = 0; index < 12; index++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        const message = (await server.receive())?.message;
        assert.ok(message?.type === "SYNC_DATA");
        assert.deepEqual([message.index, message.bytes.length], [index, 4 * MIB]);
        assert.ok(message.bytes[0] === index && message.bytes[4 * MIB - 1] === index);
      }
      assert.equal((await server.receive())?.message.type, "LEAVE");
      await Promise.all(sending);
    }));

  test(`${name}: 200 parts to a worker that reads late are neither lost nor in the way of later messages`, () =>
    withChannel(async ({ server, client }) => {
      await greet({ server, client });
      for (let index = 0; index < 200; index++) {
        server.send("worker-1", { type: "SYNC_DATA", ...boundary, index, bytes: new Uint8Array(MIB / 16) });
      }
      server.send("worker-1", DRAIN);
      await new Promise((resolve) => setTimeout(resolve, 20));
      client.send(syncGet(5));
      assert.equal((await server.receive())?.message.type, "SYNC_GET");
      for (let index = 0; index < 200; index++) {
        const message = await client.receive();
        assert.ok(message?.type === "SYNC_DATA" && message.index === index);
      }
      assert.deepEqual(await client.receive(), DRAIN);
    }));

  test(`${name}: numbers that are not finite, and bytes, stay what they are`, () =>
    withChannel(async ({ server, client }) => {
      const result = { loss: NaN, perplexity: Infinity, accuracy: 0.1 };
      const message: FromWorker = {
        type: "EVAL_RESULT",
        ...NO_SESSION,
        epoch: 1,
        generation: 2,
        evaluation: 0,
        batch: 7,
        result,
        shown: ["3 1 2 → 1 2 3"],
      };
      client.send(message);
      assert.deepEqual((await server.receive())?.message, message);
    }));

  test(`${name}: the client's close() delivers what was sent just before, and ends its receive()`, () =>
    withChannel(async ({ server, client }) => {
      const waiting = client.receive();
      for (let index = 0; index < 50; index++) client.send(syncGet(index));
      client.send(leave("done"));
      const closed = client.close();
      assert.equal(await waiting, null);
      for (let index = 0; index < 50; index++) {
        assert.equal((await server.receive())?.message.type, "SYNC_GET");
      }
      assert.equal((await server.receive())?.message.type, "LEAVE");
      await closed;
      await client.send(ALIVE);
      assert.equal(await client.receive(), null);
    }));

  test(`${name}: the server's close() delivers what was sent just before, and ends its receive()`, () =>
    withChannel(async ({ server, client }) => {
      await greet({ server, client });
      const waiting = server.receive();
      server.send("worker-1", DRAIN);
      const closed = server.close();
      assert.equal(await waiting, null);
      assert.deepEqual(await client.receive(), DRAIN);
      await closed;
      await server.send("worker-1", BEAT);
      assert.equal(await server.receive(), null);
    }));

  test(`${name}: a message to a worker that nobody knows is dropped`, () =>
    withChannel(async ({ server, client }) => {
      await greet({ server, client });
      await server.send("worker-2", DRAIN);
      server.send("worker-1", BEAT);
      assert.deepEqual(await client.receive(), BEAT);
    }));

  test(`${name}: onGone() of the server is called once, after all that a client sent before it closed`, () =>
    withChannel(async ({ server, client }) => {
      const seen: string[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      server.onGone = (from) => {
        seen.push(`${from} is gone`);
        resolve();
      };
      for (let index = 0; index < 30; index++) client.send(syncGet(index));
      await client.close();
      const reading = (async () => {
        for (let next = await server.receive(); next !== null; next = await server.receive()) {
          seen.push(next.message.type);
        }
      })();
      await promise;
      await server.close();
      await reading;
      assert.deepEqual(seen, [...Array(30).fill("SYNC_GET"), "worker-1 is gone"]);
    }));
}
