import assert from "node:assert/strict";
import { Peers } from "../../coordinator/peers.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";

const WORKER = "w".repeat(40), ADMIN = "a".repeat(40);
const [first, second] = [makeRoutingId("worker-1"), makeRoutingId("worker-1")];

function withKeys(): Peers {
  return new Peers({ keys: new Map([[WORKER, "worker"], [ADMIN, "admin"]]) });
}

/** A connection that has come in with a key; what it sends bears the result. */
function connect(peers: Peers, { publicKey, descriptor }: { publicKey: string; descriptor: number }) {
  peers.opened(descriptor, 0);
  return {
    userId: peers.admit({ domain: "d", address: "10.0.0.7", publicKey }),
    address: "10.0.0.7",
    descriptor,
  };
}

Deno.test("Peers.admit() admits the keys it was given, until they are denied, with their roles", () => {
  const peers = withKeys();
  const admit = (publicKey: string | null) => peers.admit({ domain: "d", address: "10.0.0.7", publicKey });
  assert.match(admit(WORKER) ?? "", / worker w+$/);
  assert.match(admit(ADMIN) ?? "", / admin a+$/);
  assert.equal(admit("s".repeat(40)), null);
  assert.equal(admit(null), null);
  peers.deny(WORKER);
  assert.equal(admit(WORKER), null);
  peers.allow("s".repeat(40), "admin");
  assert.match(admit("s".repeat(40)) ?? "", / admin s+$/);
});

Deno.test("Peers.admit() without keys admits this user and root over ipc, and anybody over tcp", () => {
  const peers = new Peers({ keys: null });
  const admit = (address: string) => peers.admit({ domain: "d", address, publicKey: null });
  assert.match(admit(`localhost:${Deno.uid()}:5:77`) ?? "", / local $/);
  assert.match(admit("localhost:0:0:77") ?? "", / local $/);
  assert.equal(admit("localhost:54321:5:77"), null);
  assert.match(admit("10.0.0.7") ?? "", / local $/);
  assert.equal(peers.admit({ domain: "d", address: "10.0.0.7", publicKey: WORKER }), null);
});

Deno.test("Peers.identify() tells id, role and address, and refuses names that are none", () => {
  const peers = withKeys();
  const source = connect(peers, { publicKey: WORKER, descriptor: 5 });
  assert.deepEqual(peers.identify(first, source), {
    id: "worker-1",
    role: "worker",
    address: "10.0.0.7",
    replaces: false,
  });
  for (const name of ["", "worker-1", "worker-1/1", `a b/${"0".repeat(32)}`, "x".repeat(300)]) {
    assert.throws(() => peers.identify(name, source), { code: "E_DECODE" });
  }
  assert.throws(() => peers.identify(first, { ...source, userId: null }), { code: "E_DECODE" });
});

Deno.test("Peers.identify() refuses an id that another process or another key has", () => {
  const peers = withKeys();
  const source = connect(peers, { publicKey: WORKER, descriptor: 5 });
  peers.identify(first, source);
  const other = connect(peers, { publicKey: WORKER, descriptor: 6 });
  assert.throws(() => peers.identify(second, other), { code: "E_DUPLICATE_ID", message: /another process/ });
  assert.equal(peers.identify(first, source).id, "worker-1");
  peers.ended(5);
  const admin = connect(peers, { publicKey: ADMIN, descriptor: 7 });
  assert.throws(() => peers.identify(second, admin), { code: "E_DUPLICATE_ID", message: /another key/ });
  assert.equal(peers.identify(second, other).replaces, true);
  assert.deepEqual(peers.takeGone(), []);
});

Deno.test("Peers.identify() refuses messages whose key was denied after they were sent", () => {
  const peers = withKeys();
  const source = connect(peers, { publicKey: WORKER, descriptor: 5 });
  peers.identify(first, source);
  peers.deny(WORKER);
  assert.throws(() => peers.identify(first, source), { code: "E_KEY" });
  assert.deepEqual(peers.descriptorsOf(({ publicKey }) => publicKey === WORKER), [5]);
});

Deno.test("Peers.takeGone() tells each end once, and none of a process that has come back", () => {
  const peers = withKeys();
  peers.identify(first, connect(peers, { publicKey: WORKER, descriptor: 5 }));
  peers.ended(5);
  assert.deepEqual(peers.takeGone(), ["worker-1"]);
  assert.deepEqual(peers.takeGone(), []);
  peers.identify(first, connect(peers, { publicKey: WORKER, descriptor: 5 }));
  peers.ended(5);
  peers.identify(first, connect(peers, { publicKey: WORKER, descriptor: 5 }));
  assert.deepEqual(peers.takeGone(), []);
});

Deno.test("Peers.takeGone() tells of a connection that ended before its message was read", () => {
  const peers = withKeys();
  const source = connect(peers, { publicKey: WORKER, descriptor: 5 });
  peers.ended(5);
  assert.equal(peers.identify(first, source).id, "worker-1");
  assert.deepEqual(peers.takeGone(), ["worker-1"]);
});

Deno.test("Peers keeps an old connection's late messages from hiding that a newer one has ended", () => {
  const peers = withKeys();
  const old = connect(peers, { publicKey: WORKER, descriptor: 5 });
  const renewed = connect(peers, { publicKey: WORKER, descriptor: 6 });
  peers.identify(first, old);
  peers.identify(first, renewed);
  peers.ended(6);
  peers.identify(first, old);
  assert.deepEqual(peers.takeGone(), ["worker-1"]);
});

Deno.test("Peers.opened() names the oldest connections that say nothing, beyond 256 and within 10 s", () => {
  const peers = withKeys();
  for (let descriptor = 0; descriptor < 256; descriptor++) assert.deepEqual(peers.opened(descriptor, 0), []);
  assert.deepEqual(peers.opened(1_000, 1), [0]);
  peers.ended(5);
  assert.deepEqual(peers.opened(1_001, 2), []);
  assert.deepEqual(peers.opened(1_002, 3), [1]);
  for (let descriptor = 2_000; descriptor < 2_256; descriptor++) {
    assert.deepEqual(peers.opened(descriptor, 20_000), []); // what is that old has proved itself
  }
});
