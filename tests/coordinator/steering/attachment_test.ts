import assert from "node:assert/strict";
import { join } from "node:path";
import { openControlServer } from "../../../coordinator/control_server.ts";
import { readAttachFile, writeAttachFile } from "../../../coordinator/steering/attach_file.ts";
import { Attachment } from "../../../coordinator/steering/attachment.ts";
import { RunSteering } from "../../../coordinator/steering/run_steering.ts";
import { openSteeringClient, type SteeringClient } from "../../../coordinator/steering/steering_client.ts";
import { makeRunKeys } from "../../../shared/keys.ts";
import { type CoordinatorServer, memoryPair } from "../../../shared/protocol/channel.ts";
import { Context } from "../../../shared/zmq/socket.ts";
import { makeKeyPair } from "../../../shared/zmq/curve.ts";
import { inTempDir, namesIn } from "../../shared/temp_dir.ts";
import { zmqTest } from "../../shared/zmq/zmq_test_support.ts";

interface Attachable {
  dir: string;
  attachment: Attachment;
  steering: RunSteering;
  notes: [string, Record<string, unknown>][];
}

function steeringOf(runDir: string): RunSteering {
  const group = { epoch: 1, generation: 1, ids: [], workers: [], tell: () => {} };
  return new RunSteering({
    group: { ...group, position: { step: 3, stateHash: null } },
    config: { max_iters: 10, log_interval: 1, eval_only: false },
    ...{ runDir, minMembers: 1, savedStep: null, warn: () => {}, note: () => {} },
  });
}

/** A run that consoles can attach to. */
async function attachable(
  use: (run: Attachable) => Promise<void>,
  server: CoordinatorServer = memoryPair("worker-0").server,
): Promise<void> {
  await inTempDir(async (dir) => {
    const notes: Attachable["notes"] = [];
    const steering = steeringOf(dir);
    const attachment = new Attachment(steering, {
      runDir: dir,
      crew: { server, sockets: null },
      note: (event, fields) => void notes.push([event, fields]),
    });
    try {
      await attachment.open();
      await use({ dir, attachment, steering, notes });
    } finally {
      await attachment.close();
    }
  });
}

async function connected(
  opening: Promise<SteeringClient>,
  use: (client: SteeringClient) => Promise<void>,
): Promise<void> {
  const client = await opening;
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

zmqTest(
  "Attachment answers consoles of this user at the place that attach.json names, which only the owner reads",
  () =>
    attachable(async ({ dir, notes }) => {
      const { endpoint, pid } = await readAttachFile(dir);
      assert.equal(pid, Deno.pid);
      const { mode } = await Deno.stat(join(dir, "attach.json"));
      if (mode !== null) assert.equal(mode & 0o777, 0o600);
      await connected(openSteeringClient(endpoint), async (client) => {
        assert.equal((await client.ask("status")).value.step, 3);
        await assert.rejects(client.ask("evict", { words: ["1"] }), {
          code: "E_RUN",
          message: /there are none/,
        });
        await assert.rejects(client.ask("evict"), { code: "E_USAGE" });
      });
      const [[event, { by }]] = notes;
      assert.equal(event, "command");
      assert.match(String(by), /^.+@.+$/);
    }),
);

zmqTest(
  "Attachment.close() refuses who still waits, ends connections, and leaves nothing in the directory",
  () =>
    attachable(async ({ dir, attachment }) => {
      const { endpoint } = await readAttachFile(dir);
      await connected(openSteeringClient(endpoint), async (client) => {
        await client.ask("status");
        const [save] = await Promise.allSettled([
          client.ask("save"),
          client.ask("status").then(() => attachment.close()),
        ]);
        assert.ok(save.status === "rejected");
        assert.equal(save.reason.code, "E_RUN");
        assert.equal((await client.over).code, "E_INTERRUPTED");
        await assert.rejects(client.ask("status"), { code: "E_INTERRUPTED" });
      });
      assert.deepEqual(await namesIn(dir), []);
      await assert.rejects(Deno.stat(endpoint.slice("ipc://".length)), Deno.errors.NotFound);
      await assert.rejects(readAttachFile(dir), { code: "E_RUN", message: /no run that takes commands/ });
    }),
);

zmqTest(
  "Attachment replaces an attach.json that was left, and leaves one that is another's by now",
  () =>
    attachable(async ({ dir, attachment }) => {
      const own = await readAttachFile(dir);
      const other = { ...own, endpoint: "ipc:///tmp/another" };
      await writeAttachFile(dir, other);
      await attachment.close();
      assert.deepEqual(await readAttachFile(dir), other);
    }),
);

zmqTest(
  "Attachment notes why nobody can attach where attach.json finds no place, and the run goes on",
  () =>
    attachable(async ({ dir, notes }) => {
      const opened = new Attachment(steeringOf(dir), {
        runDir: join(dir, "attach.json"), // a file
        crew: { server: memoryPair("worker-0").server, sockets: null },
        note: (event, fields) => void notes.push([event, fields]),
      });
      await opened.open();
      await opened.close();
      assert.deepEqual(notes.map(([event]) => event), ["not_attachable"]);
    }),
);

zmqTest(
  "SteeringClient.ask() gives up when it is told to, and the next answer is not mistaken for that one",
  () =>
    attachable(async ({ dir, steering }) => {
      const { endpoint } = await readAttachFile(dir);
      await connected(openSteeringClient(endpoint), async (client) => {
        await assert.rejects(client.ask("save", { signal: AbortSignal.timeout(50) }), {
          code: "E_INTERRUPTED",
        });
        await assert.rejects(client.ask("save", { signal: AbortSignal.abort() }), { code: "E_INTERRUPTED" });
        steering.observing({}).checkpoint?.({ step: 9, path: "" });
        assert.match((await client.ask("status")).text, /3 of 10/);
      });
    }),
);

zmqTest(
  "Attachment goes on after frames of strangers that are no commands",
  () =>
    attachable(async ({ dir }) => {
      const { endpoint } = await readAttachFile(dir);
      const context = new Context();
      const stranger = context.socket("dealer", { linger: 100 }); // without a name of its own
      stranger.connect(endpoint);
      const bytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
      for (let i = 0; i < 200; i++) stranger.trySend(i % 3 === 0 ? [bytes(i), bytes(1)] : [bytes(i)]);
      await context.close();
      await connected(openSteeringClient(endpoint), async (client) => {
        assert.equal((await client.ask("status")).value.step, 3);
      });
    }),
);

zmqTest(
  "openControlServer() hands admins to the run, says where they are, and lets neither workers nor strangers steer",
  async () => {
    const keys = makeRunKeys();
    const server = await openControlServer({ endpoint: "tcp://127.0.0.1:*", keys: keys.coordinator });
    try {
      await attachable(async ({ notes }) => {
        await connected(openSteeringClient(server.endpoint, { keys: keys.admin }), async (client) => {
          assert.equal((await client.ask("status")).value.step, 3);
          await assert.rejects(client.ask("dance"), { code: "E_USAGE" });
        });
        assert.match(String(notes[0][1].by), /^.+@.+ \(127\.0\.0\.1\)$/);
        const seen = notes.length;
        await connected(openSteeringClient(server.endpoint, { keys: keys.worker }), async (client) => {
          await assert.rejects(client.ask("stop"), { code: "E_DECODE" });
        });
        const stranger = { ...keys.admin, ...makeKeyPair() };
        await connected(openSteeringClient(server.endpoint, { keys: stranger }), async (client) => {
          await assert.rejects(client.ask("stop"), { code: "E_KEY" });
        });
        assert.equal(notes.length, seen);
      }, server);
    } finally {
      await server.close();
    }
  },
);
