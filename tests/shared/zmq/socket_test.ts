import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { Poller } from "../../../shared/zmq/poller.ts";
import { Context, type Frame, MAX_FRAMES, type Socket } from "../../../shared/zmq/socket.ts";
import { zmqTest } from "./zmq_test_support.ts";

interface Pair {
  context: Context;
  a: Socket;
  b: Socket;
}

async function withPair(use: (pair: Pair) => Promise<void> | void): Promise<void> {
  const context = new Context();
  const a = context.socket("pair", { linger: 0 });
  const b = context.socket("pair", { linger: 0 });
  a.bind("inproc://test");
  b.connect("inproc://test");
  try {
    await use({ context, a, b });
  } finally {
    await context.close();
  }
}

function plain(frames: Frame[] | null): number[][] | undefined {
  return frames?.map((frame) => [...frame]);
}

zmqTest("Socket.tryReceive() returns the frames that trySend() took, empty ones included", async () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: MAX_FRAMES });
  await withPair(({ a, b }) => {
    fc.assert(fc.property(frames, (sent) => {
      assert.equal(a.trySend(sent.map((frame) => new Uint8Array(frame))), true);
      assert.deepEqual(plain(b.tryReceive()), sent.map((frame) => [...frame]));
      assert.equal(b.tryReceive(), null);
    }));
  });
});

zmqTest(
  "Socket.tryReceive() keeps MAX_FRAMES frames of a longer message and reads it to its end",
  async () => {
    await withPair(({ a, b }) => {
      a.trySend(Array.from({ length: 1_000 }, (_, index) => new Uint8Array([index])));
      a.trySend([new Uint8Array([7])]);
      assert.equal(b.tryReceive()?.length, MAX_FRAMES);
      assert.deepEqual(plain(b.tryReceive()), [[7]]);
    });
  },
);

zmqTest("Socket.tryReceiveInto() puts the payload into the view that was chosen for the header", async () => {
  await withPair(({ a, b }) => {
    const header = new Uint8Array(4), region = new Uint8Array(10);
    a.trySend([new Uint8Array([3]), new Uint8Array([1, 2, 3])]);
    const sizes = b.tryReceiveInto(header, (bytes) => region.subarray(header[0], header[0] + 3 * bytes));
    assert.deepEqual(sizes, { header: 1, payload: 3 });
    assert.deepEqual([...region], [0, 0, 0, 1, 2, 3, 0, 0, 0, 0]);
    assert.equal(b.tryReceiveInto(header, () => region), null);
  });
});

zmqTest(
  "Socket.tryReceiveInto() cuts off what does not fit, tells its size, and drops further frames",
  async () => {
    await withPair(({ a, b }) => {
      const header = new Uint8Array(2), region = new Uint8Array(4);
      a.trySend([new Uint8Array(5).fill(9), new Uint8Array(6).fill(8), new Uint8Array(1), new Uint8Array(1)]);
      a.trySend([new Uint8Array([1])]);
      a.trySend([new Uint8Array([2]), new Uint8Array(3)]);
      assert.deepEqual(b.tryReceiveInto(header, () => region.subarray(0, 2)), { header: 5, payload: 6 });
      assert.deepEqual([[...header], [...region]], [[9, 9], [8, 8, 0, 0]]);
      assert.deepEqual(b.tryReceiveInto(header, () => region), { header: 1, payload: -1 });
      assert.deepEqual(b.tryReceiveInto(header, () => null), { header: 1, payload: 3 });
      assert.deepEqual([...region], [8, 8, 0, 0]);
    });
  },
);

zmqTest(
  "Socket.tryReceiveInto() passes on what the choice throws, and reads the next message whole",
  async () => {
    await withPair(({ a, b }) => {
      a.trySend([new Uint8Array([1]), new Uint8Array(3), new Uint8Array(2)]);
      a.trySend([new Uint8Array([2]), new Uint8Array(4)]);
      const header = new Uint8Array(1), region = new Uint8Array(4);
      assert.throws(() =>
        b.tryReceiveInto(header, () => {
          throw new RangeError("no such place");
        }), RangeError);
      assert.deepEqual(b.tryReceiveInto(header, () => region), { header: 1, payload: 4 });
      assert.equal(header[0], 2);
    });
  },
);

zmqTest("Socket.trySend() returns false when the queue is full, and goes on when there is room", async () => {
  const context = new Context();
  const pull = context.socket("pull", { rcvHwm: 2 });
  const push = context.socket("push", { sndHwm: 2, linger: 0 });
  pull.bind("inproc://full");
  push.connect("inproc://full");
  let taken = 0;
  while (push.trySend([new Uint8Array([taken]), new Uint8Array(1)])) taken++;
  assert.ok(taken >= 2 && taken <= 4, `${taken} messages taken`);
  const received = [];
  for (let frames = pull.tryReceive(); frames !== null; frames = pull.tryReceive()) {
    received.push(frames[0][0]);
  }
  assert.deepEqual(received, Array.from({ length: taken }, (_, index) => index));
  const poller = new Poller(context);
  await poller.wait(5_000, { writable: [push] });
  assert.equal(push.trySend([new Uint8Array(1)]), true);
  await poller.close();
  await context.close();
});

zmqTest("Socket.trySend() of a mandatory router throws E_ZMQ for an unknown peer", async () => {
  const context = new Context();
  const router = context.socket("router", { routerMandatory: true, linger: 0 });
  router.bind("inproc://router");
  assert.throws(() => router.trySend([new Uint8Array([1]), new Uint8Array(1)]), (error) => {
    return error instanceof LockstepError && error.code === "E_ZMQ" &&
      /^Cannot send a message: .+/.test(error.message);
  });
  await context.close();
});

zmqTest("Socket.bind() returns the port that was chosen, and names an endpoint that is taken", async () => {
  const context = new Context();
  const endpoint = context.socket("pull").bind("tcp://127.0.0.1:*");
  assert.match(endpoint, /^tcp:\/\/127\.0\.0\.1:\d+$/);
  assert.throws(() => context.socket("pull").bind(endpoint), {
    name: "LockstepError",
    code: "E_ZMQ",
    message: `Cannot bind a socket to ${endpoint}: Address already in use`,
  });
  assert.throws(
    () => context.socket("pull").connect("nonsense"),
    /Cannot connect a socket to nonsense: Invalid argument/,
  );
  await context.close();
});

zmqTest("Socket options are refused with their name and value", async () => {
  const context = new Context();
  assert.throws(
    () => context.socket("pair", { sndHwm: -3 }),
    /Cannot set the socket option sndHwm to -3: Invalid/,
  );
  await context.close();
});

zmqTest("maxMsgSize keeps larger frames out", async () => {
  const context = new Context();
  const pull = context.socket("pull", { maxMsgSize: 1_000 });
  const endpoint = pull.bind("tcp://127.0.0.1:*");
  const large = context.socket("push", { linger: 0, reconnectIvl: -1 });
  large.connect(endpoint);
  large.trySend([new Uint8Array(1_001)]);
  const small = context.socket("push", { linger: 0 });
  small.connect(endpoint);
  const poller = new Poller(context);
  await poller.wait(50, { readable: [pull] });
  small.trySend([new Uint8Array(1_000)]);
  await poller.wait(5_000, { readable: [pull] });
  assert.equal(pull.tryReceive()?.[0].length, 1_000);
  assert.equal(pull.tryReceive(), null);
  await poller.close();
  await context.close();
});

zmqTest("Poller.wait() ends with a message, a wake, or the time, whichever is first", async () => {
  await withPair(async ({ context, a, b }) => {
    const poller = new Poller(context);
    const start = performance.now();
    await poller.wait(20, { readable: [a] });
    assert.ok(performance.now() - start >= 19);
    const waiting = poller.wait(-1, { readable: [a] });
    b.trySend([new Uint8Array([5])]);
    await waiting;
    assert.deepEqual(plain(a.tryReceive()), [[5]]);
    const woken = poller.wait(-1, { readable: [a] });
    poller.wake();
    await woken;
    poller.wake(); // before the wait: ends it at once
    await poller.wait(-1, { readable: [a] });
    await poller.wait(-1, { writable: [b] });
    await poller.close();
  });
});

zmqTest(
  "Poller.wait() leaves the sockets to their owner, one wait at a time, and close() ends it",
  async () => {
    await withPair(async ({ context, a, b }) => {
      const poller = new Poller(context);
      const waiting = poller.wait(-1, { readable: [a] });
      await assert.rejects(poller.wait(0), /poller that is waiting/);
      assert.equal(a.trySend([new Uint8Array([1])]), true); // while it waits
      await new Poller(context).wait(5_000, { readable: [b] });
      assert.deepEqual(plain(b.tryReceive()), [[1]]);
      assert.deepEqual([a.isReadable, a.isWritable, b.isReadable], [false, true, false]);
      await poller.close();
      await waiting;
    });
  },
);

zmqTest("Poller.wait() does not wait for what a socket has taken in already", async () => {
  await withPair(async ({ context, a, b }) => {
    const poller = new Poller(context);
    b.trySend([new Uint8Array([7])]);
    while (!a.isReadable) await new Promise((resolve) => setTimeout(resolve, 1));
    await poller.wait(-1, { readable: [a] }); // its descriptor has nothing to tell any more
    assert.deepEqual(plain(a.tryReceive()), [[7]]);
    await poller.close();
  });
});

zmqTest("Poller.wait() takes more sockets than it was made for", async () => {
  const context = new Context();
  const sockets = Array.from({ length: 40 }, () => context.socket("pair", { linger: 0 }));
  sockets.forEach((socket, index) => socket.bind(`inproc://many-${index}`));
  const last = context.socket("pair", { linger: 0 });
  last.connect("inproc://many-39");
  const poller = new Poller(context);
  const waiting = poller.wait(-1, { readable: sockets });
  last.trySend([new Uint8Array([1])]);
  await waiting;
  assert.deepEqual(plain(sockets[39].tryReceive()), [[1]]);
  await poller.close();
  await context.close();
});

zmqTest("Context.close() closes the sockets that are open, and each then says so", async () => {
  const context = new Context();
  const socket = context.socket("pair");
  await context.close();
  socket.close();
  assert.throws(() => socket.tryReceive(), /Cannot use a socket that is closed/);
});
