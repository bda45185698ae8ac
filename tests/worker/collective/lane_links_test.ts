import assert from "node:assert/strict";
import fc from "fast-check";
import { dealShards } from "../../../coordinator/plan.ts";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { Arena } from "../../../worker/arena.ts";
import { Exchange } from "../../../worker/collective/exchange.ts";
import { ExchangePlan } from "../../../worker/collective/exchange_plan.ts";
import { laneLinks } from "../../../worker/collective/lane_links.ts";
import type { Link, Links } from "../../../worker/collective/link.ts";
import { memoryLinks } from "../../../worker/collective/memory_links.ts";
import { ExposedMemory } from "../../../worker/collective/shared_memory.ts";
import { Turns } from "../../../worker/collective/turns.ts";
import { bindKernels, compileKernels } from "../../../worker/kernels/kernels.ts";
import { expectedGradient, gradientAt } from "./members.ts";

const LINUX = Deno.build.os === "linux";
const module = await compileKernels({ shared: true });
const nonce = new Uint8Array(16).fill(3);

/** A member with arenas of its own, as a process has them. */
interface Member {
  readonly exchange: Exchange;
  readonly links: Links;
  readonly reduced: Float32Array;
  /** The sums that it brings, by tree node. */
  readonly own: { node: number; numbers: Float32Array; byteOffset: number }[];
}

function expose(memory: WebAssembly.Memory): ExposedMemory {
  const exposed = ExposedMemory.expose(memory);
  assert.ok(exposed !== null);
  return exposed;
}

/** Members that see each other's memory; `wrap` changes the links that carry what does not go through memory. */
function makeWorld(
  deal: readonly (readonly number[])[],
  { elements, wrap = (links) => links }: { elements: number; wrap?: (links: Links, rank: number) => Links },
): { tree: ReductionTree; members: Member[]; close(): Promise<void> } {
  const tree = new ReductionTree(deal.flat().length);
  const nodes = deal.map((leaves) => leaves.map((leaf) => tree.leaf(leaf)));
  const links = memoryLinks(deal.length).map(wrap);
  const closing: (() => Promise<void> | void)[] = [];
  const members = deal.map((leaves, rank) => {
    const plan = new ExchangePlan({ tree, nodes, rank, elements, frameElements: 16_384 });
    const partials = Arena.create({ sums: leaves.length * elements, scratch: plan.scratchLength });
    const state = Arena.create({ before: 100_000, reduced: elements, squares: plan.squaresLength });
    const pages = Turns.bytes(deal.length) / 65_536;
    const exposed = {
      partials: expose(partials.memory),
      state: expose(state.memory),
      turns: expose(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })),
    };
    const bind = {
      partials: (memory = partials.memory) =>
        bindKernels(module, { arena: partials, result: state, peer: { memory } }),
      state: (memory = state.memory) => bindKernels(module, { arena: state, peer: { memory } }),
    };
    const lanes = laneLinks(links[rank], { exposed, bind, rank, nonce, generation: 1 });
    closing.push(() => lanes.close(), () => exposed.partials.close(), () => exposed.state.close());
    const sums = partials.region("sums");
    const own = leaves.map((leaf, i) => {
      const numbers = sums.view.subarray(i * elements, (i + 1) * elements);
      numbers.forEach((_, at) => numbers[at] = gradientAt(leaf, at));
      return { node: tree.leaf(leaf), numbers, byteOffset: sums.byteOffset + 4 * i * elements };
    });
    const exchange = new Exchange({
      plan,
      links: lanes,
      nonce,
      generation: 1,
      kernels: bind.partials(),
      resultKernels: bind.state(),
      scratch: partials.region("scratch"),
      reduced: state.region("reduced"),
      squares: state.region("squares"),
    });
    return { exchange, links: lanes, reduced: state.region("reduced").view, own };
  });
  return {
    tree,
    members,
    close: async () => {
      for (const close of closing) await close();
    },
  };
}

function begin(members: readonly Member[], step: number): void {
  for (const { exchange } of members) exchange.begin({ step, attempt: 0 });
  for (const { exchange, own } of members) {
    for (const { node, byteOffset } of own) exchange.announce(node, byteOffset);
  }
}

/** Pumps the members, in the order that `choose` makes up, until all are done. */
function pumpAll(members: readonly Member[], choose: (n: number) => number = () => 0): void {
  for (let idle = 0; members.some(({ exchange }) => !exchange.done);) {
    const first = choose(members.length);
    const worked = members.filter((_, i) => members[(first + i) % members.length].exchange.pump());
    idle = worked.length > 0 ? 0 : idle + 1;
    if (idle > 2) throw new Error("the members wait for each other");
  }
}

const linksOf = (member: Member): Link[] => [...member.links.byRank.values()];

Deno.test({
  name: "laneLinks() gives the same bits for any deal, and moves to memory within two steps",
  ignore: !LINUX,
  async fn() {
    const worlds = fc.record({
      shards: fc.integer({ min: 2, max: 7 }),
      members: fc.integer({ min: 2, max: 4 }),
      elements: fc.constantFrom(5, 16_384, 40_001, 150_000),
      order: fc.infiniteStream(fc.nat()),
    });
    await fc.assert(
      fc.asyncProperty(worlds, async ({ shards, members: count, elements, order }) => {
        const { tree, members, close } = makeWorld(dealShards(shards, count), { elements });
        const expected = expectedGradient(tree, elements);
        for (let step = 0; step < 4; step++) {
          for (const { reduced } of members) reduced.fill(NaN);
          begin(members, step);
          pumpAll(members, (n) => order.next().value % n);
          for (const { reduced, exchange } of members) {
            assert.deepEqual(reduced, expected);
            assert.deepEqual(exchange.result, members[0].exchange.result);
          }
        }
        // A member that brings nothing has no reason to send, and so to offer, to one whose segment is empty.
        if (count > shards || elements <= 16_384 * count) return await close();
        for (const member of members) assert.ok(linksOf(member).every(({ lane }) => lane?.isMapped));
        await close();
      }),
      { numRuns: 12 },
    );
  },
});

/** A world of two after two steps, when all goes through memory. */
function makePair(wrap?: (links: Links, rank: number) => Links) {
  const world = makeWorld([[0], [1]], { elements: 70_000, wrap });
  for (let step = 0; step < 2; step++) {
    begin(world.members, step);
    pumpAll(world.members);
  }
  return world;
}

Deno.test({
  name:
    "Exchange refuses with E_CRC, naming the rank, what was written over after it was announced in memory",
  ignore: !LINUX,
  async fn() {
    const { members, close } = makePair();
    const [reader, writer] = members;
    assert.ok(linksOf(reader)[0].lane?.isMapped);
    begin(members, 2);
    for (let i = 0; i < 20; i++) writer.exchange.pump();
    writer.own[0].numbers[100] += 1;
    assert.throws(() => pumpAll([reader]), {
      code: "E_CRC",
      rank: 1,
      message: /^Cannot reduce step 2, attempt 0: rank 1 sent a partial frame at 0 /,
    });
    await close();
  },
});

Deno.test({
  name: "Exchange does a step again that was given up in memory, with the same bits",
  ignore: !LINUX,
  async fn() {
    const { tree, members, close } = makePair();
    begin(members, 2);
    for (let i = 0; i < 3; i++) members[0].exchange.pump();
    for (const { exchange } of members) exchange.abort();
    for (const { exchange } of members) exchange.begin({ step: 2, attempt: 1 });
    for (const { exchange, own } of members) exchange.announce(own[0].node, own[0].byteOffset);
    pumpAll(members);
    for (const { reduced } of members) assert.deepEqual(reduced, expectedGradient(tree, 70_000));
    assert.ok(members.some(({ exchange }) => exchange.dropped.stale > 0));
    await close();
  },
});

/** Links of which rank 0's change what the first frame, which is an offer, carries. */
function changeOffer(change: (offer: string) => string): (links: Links, rank: number) => Links {
  return (links, rank) => {
    if (rank !== 0) return links;
    const byRank = new Map([...links.byRank].map(([peer, link]): [number, Link] => {
      let isFirst = true;
      return [peer, {
        trySend: (header, payload) => {
          const changed = isFirst
            ? new TextEncoder().encode(change(new TextDecoder().decode(payload)))
            : payload;
          const isSent = link.trySend(header, changed);
          if (isSent) isFirst = false;
          return isSent;
        },
        tryReceive: (header, place) => link.tryReceive(header, place),
      }];
    }));
    return {
      byRank,
      wait: (interest) => links.wait(interest),
      wake: () => links.wake(),
      close: () => links.close(),
    };
  };
}

Deno.test({
  name: "laneLinks() goes on with payloads where an offer is damaged, or of another host",
  ignore: !LINUX,
  async fn() {
    for (
      const change of [
        () => "{",
        () => "",
        (offer: string) => offer.replaceAll(/"token":"../g, '"token":"zz'),
        (offer: string) => offer.replaceAll(/"bootId":"[^"]*"/g, '"bootId":"elsewhere"'),
        (offer: string) => offer.replace(/("turns":.*"to":)\d+/, "$165536"),
      ]
    ) {
      const { tree, members, close } = makePair(changeOffer(change));
      assert.equal(linksOf(members[0])[0].lane?.isMapped, false);
      assert.equal(linksOf(members[1])[0].lane?.peer, null);
      assert.deepEqual(members[1].reduced, expectedGradient(tree, 70_000));
      await close();
    }
  },
});
