import assert from "node:assert/strict";
import fc from "fast-check";
import { curveClient, curveServer, type KeyPair, makeKeyPair } from "../../../shared/zmq/curve.ts";
import { Monitor } from "../../../shared/zmq/monitor.ts";
import { Context, type Frame } from "../../../shared/zmq/socket.ts";
import { answerZap, ZapHandler, type ZapRequest } from "../../../shared/zmq/zap.ts";
import { zmqTest } from "./zmq_test_support.ts";

const bytes = (text: string): Frame => new TextEncoder().encode(text);
const text = (frame: Frame) => new TextDecoder().decode(frame);
const request = (mechanism: string, ...credentials: Frame[]) => [
  ...["1.0", "7", "control", "10.0.0.1", "", mechanism].map(bytes),
  ...credentials,
];

Deno.test("answerZap() asks with the key in Z85 and passes the user id on", () => {
  const asked: ZapRequest[] = [];
  const reply = answerZap(request("CURVE", new Uint8Array(32)), (about) => {
    asked.push(about);
    return "worker";
  });
  assert.deepEqual(asked, [{ domain: "control", address: "10.0.0.1", publicKey: "0".repeat(40) }]);
  assert.deepEqual(reply.map(text), ["1.0", "7", "200", "OK", "worker", ""]);
});

Deno.test("answerZap() refuses what is not admitted", () => {
  const reply = answerZap(request("NULL"), ({ publicKey }) => publicKey);
  assert.deepEqual(reply.map(text), ["1.0", "7", "400", "not admitted", "", ""]);
});

Deno.test("answerZap() refuses every request that is not complete, without asking", () => {
  const frame = fc.uint8Array({ maxLength: 40 }).map((array) => new Uint8Array(array));
  const broken = fc.oneof(
    fc.array(frame, { maxLength: 9 }),
    fc.uint8Array({ maxLength: 80 }).filter((key) => key.length !== 32)
      .map((key) => request("CURVE", new Uint8Array(key))),
    fc.constantFrom("PLAIN", "GSSAPI", "curve", "").map((mechanism) =>
      request(mechanism, new Uint8Array(32))
    ),
    fc.nat({ max: 5 }).map((count) => request("CURVE", new Uint8Array(32)).slice(0, count)),
    fc.constant(request("NULL", new Uint8Array(1))),
  );
  fc.assert(
    fc.property(broken, (frames) => {
      const reply = answerZap(frames, () => assert.fail("was asked"));
      assert.equal(reply.length, 6);
      assert.equal(text(reply[2]), "400");
    }),
    { numRuns: 2_000 },
  );
});

/** What the events of a connection attempt come to: true if messages can pass. */
async function isAdmitted(handler: boolean, { server, client }: { server: KeyPair; client: KeyPair | null }) {
  const context = new Context();
  const zap = handler ? new ZapHandler(context, ({ publicKey }) => publicKey) : null;
  const router = context.socket("router", curveServer(server, { domain: "test" }));
  const endpoint = router.bind("tcp://127.0.0.1:*");
  const peer = new Context();
  const dealer = peer.socket("dealer", {
    linger: 0,
    ...(client === null ? {} : curveClient(client, server.publicKey)),
  });
  const monitor = new Monitor(peer, { watched: dealer });
  dealer.connect(endpoint);
  try {
    for (;;) {
      zap?.answer();
      const event = monitor.tryReceive();
      if (event?.kind === "ready") return true;
      if (event?.kind === "refused" || event?.kind === "handshakeInvalid") return false;
      if (event?.kind === "handshakeFailed") return false;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    await peer.close();
    await context.close();
  }
}

zmqTest(
  "curveServer() admits whom the ZAP handler admits, and nobody without a handler or a key",
  async () => {
    const server = makeKeyPair(), client = makeKeyPair();
    assert.equal(await isAdmitted(true, { server, client }), true);
    assert.equal(await isAdmitted(true, { server, client: null }), false);
    assert.equal(await isAdmitted(false, { server, client }), false);
  },
);
