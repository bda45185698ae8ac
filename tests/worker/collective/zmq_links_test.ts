import assert from "node:assert/strict";
import { curveClient, type KeyPair, makeKeyPair } from "../../../shared/zmq/curve.ts";
import { createIpcDirectory } from "../../../shared/zmq/ipc_directory.ts";
import { Monitor } from "../../../shared/zmq/monitor.ts";
import { Context } from "../../../shared/zmq/socket.ts";
import { LinkLost } from "../../../worker/collective/link_lost.ts";
import { type TcpLinks, type ZmqLinks, zmqLinks } from "../../../worker/collective/zmq_links.ts";
import { zmqTest } from "../../shared/zmq/zmq_test_support.ts";

interface World {
  links: ZmqLinks[];
  keys: KeyPair[];
  close(): Promise<void>;
}

/** Members by the names of their hosts: `["a", "a", "b"]`; those between hosts are told their ports. */
function open(hosts: string[], { insecure = false } = {}): World {
  const directories = new Map([...new Set(hosts)].map((host) => [host, createIpcDirectory()]));
  const endpoints = hosts.map((host, rank) => directories.get(host)?.endpoint(`m${rank}`) ?? "");
  const keys = hosts.map(() => makeKeyPair());
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const tcp = (rank: number): TcpLinks => ({
    bind: "127.0.0.1",
    keys: insecure ? null : { own: keys[rank], publicKeys },
  });
  const links = hosts.map((_, rank) => zmqLinks({ rank, generation: 1, endpoints, hosts, tcp: tcp(rank) }));
  for (const [rank, link] of links.entries()) {
    link.connect(links.map(({ ports }) => `tcp://127.0.0.1:${ports[rank]}`));
  }
  return {
    links,
    keys,
    async close() {
      await Promise.all(links.map((link) => link.close()));
      for (const directory of directories.values()) directory.remove();
    },
  };
}

/** Sends a frame as soon as there is room. */
async function send(links: ZmqLinks, { to, value }: { to: number; value: number }): Promise<void> {
  const link = links.byRank.get(to);
  while (link?.trySend(new Uint8Array([value]), new Uint8Array(1_000).fill(value)) === false) {
    await links.wait({ from: [], to: [to] });
  }
}

/** The value of the next frame from a peer. */
async function receive(links: ZmqLinks, from: number): Promise<number> {
  const header = new Uint8Array(64), payload = new Uint8Array(1_000);
  for (;;) {
    const received = links.byRank.get(from)?.tryReceive(header, () => payload);
    if (received !== null) {
      assert.deepEqual(received, { header: 1, payload: 1_000 });
      assert.ok(payload.every((byte) => byte === header[0]));
      return header[0];
    }
    await links.wait({ from: [from], to: [] });
  }
}

for (
  const { name, hosts, insecure } of [
    { name: "one host", hosts: ["a", "a", "a"], insecure: false },
    { name: "two hosts, with keys", hosts: ["a", "b", "a"], insecure: false },
    { name: "three hosts, insecure", hosts: ["a", "b", "c"], insecure: true },
  ]
) {
  zmqTest(`zmqLinks() carries frames between all members of ${name}, in order`, async () => {
    const { links, close } = open(hosts, { insecure });
    const isListening = links.map(({ ports }) => ports.map((port) => port > 0));
    const between = (low: number, high: number) => low < high && hosts[low] !== hosts[high];
    assert.deepEqual(isListening, hosts.map((_, rank) => hosts.map((_, peer) => between(rank, peer))));
    const ranks = [...hosts.keys()];
    const pairs = ranks.flatMap((from) => ranks.filter((to) => to !== from).map((to) => ({ from, to })));
    for (let i = 0; i < 30; i++) {
      for (const { from, to } of pairs) await send(links[from], { to, value: 10 * from + i });
      for (const { from, to } of pairs) assert.equal(await receive(links[to], from), 10 * from + i);
    }
    await close();
  });
}

zmqTest("zmqLinks() refuses members on other hosts without keys", () => {
  const endpoints = ["ipc:///tmp/a/m0", "ipc:///tmp/b/m1"];
  assert.throws(() => zmqLinks({ rank: 0, generation: 1, endpoints, hosts: ["a", "b"] }), {
    code: "E_KEY",
    message: /rank 1/,
  });
});

zmqTest(
  "zmqLinks() admits only the member for which a port was opened, and is not disturbed by others",
  async () => {
    const { links, keys, close } = open(["a", "b", "c"]);
    const strangers = new Context();
    const outcome = async (own: KeyPair) => {
      const pair = strangers.socket("pair", { linger: 0, ...curveClient(own, keys[0].publicKey) });
      const monitor = new Monitor(strangers, { watched: pair, kinds: ["ready", "refused"] });
      pair.connect(`tcp://127.0.0.1:${links[0].ports[1]}`);
      let event = monitor.tryReceive();
      for (; event === null; event = monitor.tryReceive()) await new Promise((done) => setTimeout(done, 1));
      pair.close();
      return event.kind;
    };
    assert.equal(await outcome(makeKeyPair()), "refused");
    assert.equal(await outcome(keys[2]), "refused"); // a member, but not the one of this port
    using silent = await Deno.connect({ hostname: "127.0.0.1", port: links[0].ports[1] });
    await silent.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    for (let i = 0; i < 20; i++) {
      await send(links[0], { to: 1, value: i });
      assert.equal(await receive(links[1], 0), i);
      await new Promise((done) => setTimeout(done, 1));
    }
    await strangers.close();
    await close();
  },
);

for (const hosts of [["a", "a", "a"], ["a", "b", "c"]]) {
  const where = hosts[1] === "a" ? "on one host" : "between hosts";
  zmqTest(`zmqLinks() ${where}: what a lost peer had sent can be taken, then LinkLost names it`, async () => {
    const { links, close } = open(hosts);
    for (const peer of [0, 2]) {
      await send(links[peer], { to: 1, value: peer });
      assert.equal(await receive(links[1], peer), peer);
    }
    await send(links[0], { to: 1, value: 7 });
    await new Promise((done) => setTimeout(done, 20)); // the frame is on its way
    const start = performance.now();
    await links[0].close();
    assert.equal(await receive(links[1], 0), 7);
    const isLoss = (error: unknown) =>
      error instanceof LinkLost && error.rank === 0 && error.code === "E_LINK";
    await assert.rejects(receive(links[1], 0), isLoss);
    await assert.rejects(send(links[1], { to: 0, value: 1 }), isLoss);
    await assert.rejects(receive(links[2], 0), isLoss);
    assert.ok(performance.now() - start < 1_000);
    await send(links[2], { to: 1, value: 9 });
    assert.equal(await receive(links[1], 2), 9);
    await links[2].close();
    await assert.rejects(receive(links[1], 2), (error) => error instanceof LinkLost && error.rank === 2);
    await close();
  });
}

zmqTest("zmqLinks() between hosts says LinkLost where nobody listens", async () => {
  const { links, close } = open(["a", "b"]);
  const [own, publicKey] = [makeKeyPair(), makeKeyPair().publicKey];
  const late = zmqLinks({
    rank: 1,
    generation: 1,
    endpoints: ["ipc:///tmp/a/m0", "ipc:///tmp/b/m1"],
    hosts: ["a", "b"],
    tcp: { bind: "127.0.0.1", keys: { own, publicKeys: [publicKey, own.publicKey] } },
  });
  const port = links[0].ports[1];
  await close();
  late.connect([`tcp://127.0.0.1:${port}`, ""]);
  await assert.rejects(receive(late, 0), (error) => error instanceof LinkLost && error.rank === 0);
  await late.close();
});
