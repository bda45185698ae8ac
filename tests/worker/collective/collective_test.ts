import assert from "node:assert/strict";
import { dealShards } from "../../../coordinator/plan.ts";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { makeKeyPair } from "../../../shared/zmq/curve.ts";
import { createIpcDirectory } from "../../../shared/zmq/ipc_directory.ts";
import { Arena } from "../../../worker/arena.ts";
import type { Collective, Reduced } from "../../../worker/collective/collective.ts";
import { CollectiveClient } from "../../../worker/collective/collective_client.ts";
import { ExchangePlan } from "../../../worker/collective/exchange_plan.ts";
import { PeerError } from "../../../worker/collective/peer_error.ts";
import { makeReducer } from "../../../worker/collective/make_reducer.ts";
import { compileKernels } from "../../../worker/kernels/kernels.ts";
import { expectedGradient, gradientAt, sumOf } from "./members.ts";

const ELEMENTS = 150_000;
const SHARDS = 3;
const tree = new ReductionTree(SHARDS);
const module = await compileKernels({ shared: true });
const expected = expectedGradient(tree, ELEMENTS);

interface Member {
  collective: Collective;
  /** Tree nodes and where their sums are. */
  own: { node: number; byteOffset: number }[];
  reduced: Float32Array;
  configure(generation: number): Promise<void>;
}

interface World {
  members: Member[];
  /** Closes these members, all if not given. */
  close(open?: readonly Member[]): Promise<void>;
}

/** What a member brings that holds one shard or more, with arenas of its own as in a process. */
function makeParts(rank: number, endpoints: string[]) {
  const worldSize = endpoints.length;
  const deal = dealShards(SHARDS, worldSize);
  const nodes = deal.map((leaves) => leaves.map((leaf) => tree.leaf(leaf)));
  const plan = new ExchangePlan({ tree, nodes, rank, elements: ELEMENTS });
  const partials = Arena.create({ gradient: ELEMENTS * deal[rank].length, scratch: plan.scratchLength });
  const state = Arena.create({ reduced: ELEMENTS, squares: plan.squaresLength });
  const gradient = partials.region("gradient");
  const own = deal[rank].map((shard, i) => {
    for (let at = 0; at < ELEMENTS; at++) gradient.view[i * ELEMENTS + at] = gradientAt(shard, at);
    return { node: tree.leaf(shard), byteOffset: gradient.byteOffset + 4 * i * ELEMENTS };
  });
  const setup = {
    module,
    partials: partials.share(),
    state: state.share(),
    shardCount: SHARDS,
    nodes,
    rank,
    endpoints,
    hosts: endpoints.map((endpoint) => endpoint.slice(0, endpoint.lastIndexOf("/"))),
    nonce: new Uint8Array(16).fill(9),
  };
  return { setup, own, reduced: state.region("reduced").view };
}

function makeMember(
  rank: number,
  { worldSize, directory }: { worldSize: number; directory: string | null },
): Member {
  const endpoints = Array.from({ length: worldSize }, (_, peer) => `${directory}-${peer}`);
  const { setup, own, reduced } = makeParts(rank, endpoints);
  if (directory === null) {
    const collective = makeReducer({ ...setup, generation: 1 });
    return { collective, own, reduced, configure: () => Promise.resolve() };
  }
  const collective = new CollectiveClient();
  return {
    collective,
    own,
    reduced,
    configure: (generation) => collective.configure({ ...setup, generation }),
  };
}

async function reduceStep(
  members: readonly Pick<Member, "collective" | "own">[],
  step: number,
): Promise<(Reduced | null)[]> {
  const reductions = members.map(({ collective }) => collective.begin({ step, attempt: 0 }));
  for (const { collective, own } of members) {
    for (const { node, byteOffset } of own) collective.announce(node, byteOffset);
  }
  return await Promise.all(reductions);
}

function makeWorld(worldSize: number): World {
  const ipc = createIpcDirectory();
  const ranks = [...Array(worldSize).keys()];
  const members = ranks.map((rank) => makeMember(rank, { worldSize, directory: ipc.endpoint("d") }));
  return {
    members,
    close: async (open = members) => {
      await Promise.all(open.map(({ collective }) => collective.close()));
      ipc.remove();
    },
  };
}

async function aloneResult(): Promise<Reduced | null> {
  const alone = makeMember(0, { worldSize: 1, directory: null });
  const [result] = await reduceStep([alone], 0);
  assert.deepEqual(alone.reduced, expected);
  await alone.collective.close();
  return result;
}

Deno.test("CollectiveClient and makeReducer() give the same bits: three threads over ZeroMQ, one without a socket", async () => {
  const { members, close } = makeWorld(3);
  await Promise.all(members.map(({ configure }) => configure(1)));
  const alone = sumOf(await aloneResult());
  assert.ok(alone !== null && Number.isFinite(alone.gradNorm));
  for (let step = 0; step < 3; step++) {
    for (const { reduced } of members) reduced.fill(0);
    assert.deepEqual((await reduceStep(members, step)).map(sumOf), [alone, alone, alone]);
    for (const { reduced } of members) assert.deepEqual(reduced, expected);
  }
  await close();
});

Deno.test("CollectiveClient.abort() ends a reduction that waits for a peer, and a new generation reduces again", async () => {
  const { members, close } = makeWorld(2);
  await Promise.all(members.map(({ configure }) => configure(1)));
  const [waiting] = members;
  const reduction = waiting.collective.begin({ step: 0, attempt: 0 });
  waiting.own.forEach(({ node, byteOffset }) => waiting.collective.announce(node, byteOffset));
  await waiting.collective.abort();
  assert.equal(await reduction, null);
  await Promise.all(members.map(({ configure }) => configure(2)));
  const [first, second] = await reduceStep(members, 0);
  assert.deepEqual(sumOf(first), sumOf(await aloneResult()));
  assert.deepEqual(second, first);
  await close();
});

Deno.test("CollectiveClient.begin() names the peer that is gone also where frames stay in memory", async () => {
  const { members, close } = makeWorld(2);
  await Promise.all(members.map(({ configure }) => configure(1)));
  for (let step = 0; step < 3; step++) await reduceStep(members, step);
  const [gone, waiting] = members;
  const reduction = waiting.collective.begin({ step: 3, attempt: 0 });
  for (const { node, byteOffset } of waiting.own) waiting.collective.announce(node, byteOffset);
  await Promise.all([
    gone.collective.close(),
    assert.rejects(
      reduction,
      (error) => error instanceof PeerError && error.code === "E_LINK" && error.rank === 0,
    ),
  ]);
  await close([waiting]);
});

/** Two members that share no folder, and so are linked over tcp with keys. */
function makeRemoteParts() {
  const keys = [makeKeyPair(), makeKeyPair()], publicKeys = keys.map(({ publicKey }) => publicKey);
  const endpoints = ["ipc:///tmp/a/d", "ipc:///tmp/b/d"]; // nothing lies there
  return keys.map((own, rank) => {
    const { setup, ...parts } = makeParts(rank, endpoints);
    const tcp = { bind: "127.0.0.1", keys: { own, publicKeys } };
    return { ...parts, setup: { ...setup, tcp, generation: 1 } };
  });
}

Deno.test("makeReducer() gives the same bits where all frames are encrypted", async () => {
  const members = makeRemoteParts().map(({ setup, ...parts }) => ({
    ...parts,
    collective: makeReducer(setup),
  }));
  const [low, high] = members;
  high.collective.connect([`tcp://127.0.0.1:${low.collective.ports[1]}`, ""]);
  const alone = sumOf(await aloneResult());
  for (let step = 0; step < 3; step++) {
    for (const { reduced } of members) reduced.fill(0);
    assert.deepEqual((await reduceStep(members, step)).map(sumOf), [alone, alone]);
    for (const { reduced } of members) assert.deepEqual(reduced, expected);
  }
  await Promise.all(members.map(({ collective }) => collective.close()));
});

Deno.test("CollectiveClient.connect() links members over tcp, and begin() names the peer whose link is lost", async () => {
  const members = makeRemoteParts().map((parts) => ({ ...parts, collective: new CollectiveClient() }));
  const [low, high] = members;
  await Promise.all(members.map(({ collective, setup }) => collective.configure(setup)));
  assert.deepEqual(high.collective.ports, [0, 0]);
  high.collective.connect([`tcp://127.0.0.1:${low.collective.ports[1]}`, ""]);
  const alone = sumOf(await aloneResult());
  assert.deepEqual((await reduceStep(members, 0)).map(sumOf), [alone, alone]);
  const waiting = high.collective.begin({ step: 1, attempt: 0 });
  await Promise.all([
    low.collective.close(),
    assert.rejects(
      waiting,
      (error) => error instanceof PeerError && error.code === "E_LINK" && error.rank === 0,
    ),
  ]);
  await high.collective.close();
});

Deno.test("CollectiveClient.configure() rejects shards that are dealt twice", async () => {
  const collective = new CollectiveClient();
  const arena = Arena.create({ scratch: 0, reduced: 10, squares: 2 });
  const setup = {
    module,
    partials: arena.share(),
    state: arena.share(),
    shardCount: 2,
    nodes: [[0, 1]],
    rank: 0,
    endpoints: ["unused"],
    nonce: new Uint8Array(16),
    generation: 1,
  };
  await assert.rejects(collective.configure(setup), {
    code: "E_DECODE",
    message: /shard 0 is dealt 2 times$/,
  });
  await collective.close();
});
