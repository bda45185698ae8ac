import assert from "node:assert/strict";
import fc from "fast-check";
import { dealShards } from "../../../coordinator/plan.ts";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import type { ExchangePlan } from "../../../worker/collective/exchange_plan.ts";
import { makeExchange } from "../../../worker/collective/grouped_exchange.ts";
import { GROUP_MEMBERS, planExchanges } from "../../../worker/collective/plan_exchanges.ts";
import {
  allocate,
  computeShards,
  expectedGradient,
  kernels,
  makeWorld,
  type Member,
  pumpAll,
  sumOf,
} from "./members.ts";

function plansOf(deal: number[][], elements: number): ExchangePlan[][] {
  const tree = new ReductionTree(deal.flat().length);
  const nodes = deal.map((leaves) => tree.maximalSubtrees(leaves));
  return deal.map((_, rank) => planExchanges({ tree, nodes, rank, elements }));
}

Deno.test("planExchanges() groups neighbours along the tree, and across groups who hold the same segment", () => {
  const plans = plansOf(dealShards(16, 16), 16 * 16_384);
  assert.deepEqual(plans[10].map(({ level }) => level.members), [[8, 9, 10, 11, 12, 13, 14, 15], [2, 10]]);
  assert.deepEqual(plans[10].map((plan) => plan.print()), [
    "rank 10 adds up 65536..98304: [[[8 from 8 in #0 + 9 from 9 in #1] in #0 + [own 10 + 11 from 11 in #2] in #2] in #0 + " +
    "[[12 from 12 in #3 + 13 from 13 in #4] in #3 + [14 from 14 in #5 + 15 from 15 in #6] in #5] in #3] in #0",
    "rank 10 finishes 81920..98304: [(((0 1) (2 3)) ((4 5) (6 7))) from 2 in #0 + own (((8 9) (10 11)) ((12 13) (14 15)))] in #0",
  ]);
  const uneven = plansOf(dealShards(9, 9), 100_000);
  assert.deepEqual(uneven[4].map(({ level }) => level.members), [[0, 1, 2, 3, 4]]); // the fifth of five and four holds nothing
  assert.deepEqual(uneven[5].map(({ level }) => level.members), [[5, 6, 7, 8], [0, 5]]);
});

Deno.test("planExchanges() gives each member at most seven peers for each eightfold of members", () => {
  for (const [count, most] of [[8, 7], [9, 14], [64, 14], [65, 21], [512, 21]]) {
    for (const rank of [0, count >> 1, count - 1]) {
      const tree = new ReductionTree(count);
      const nodes = Array.from({ length: count }, (_, leaf) => [tree.leaf(leaf)]);
      const plans = planExchanges({ tree, nodes, rank, elements: 10_000_000 });
      const peers = new Set(plans.flatMap(({ level }) => level.members));
      assert.ok(peers.has(rank) && peers.size - 1 <= most, `${count} members: ${peers.size - 1} peers`);
      assert.ok(plans.every(({ level }) => level.members.length <= GROUP_MEMBERS));
    }
  }
});

function reduceStep(members: readonly Member[], step: number, choose?: (n: number) => number): void {
  for (const { exchange } of members) exchange.begin({ step, attempt: 0 });
  for (const member of members) computeShards(member, () => member.exchange.pump());
  pumpAll(members, choose);
}

Deno.test("makeExchange() gives the bits of one member to any number up to 64, for any deal", () => {
  const worlds = fc.record({
    count: fc.constantFrom(9, 16, 17, 33, 64),
    shards: fc.integer({ min: 1, max: 20 }),
    elements: fc.constantFrom(1, 20_000, 40_001),
    seed: fc.nat(1000),
    order: fc.infiniteStream(fc.nat()),
  });
  fc.assert(
    fc.property(worlds, ({ count, shards, elements, seed, order }) => {
      const deal = Array.from({ length: count }, (): number[] => []);
      for (let shard = 0; shard < shards; shard++) deal[(seed + shard * 7) % count].push(shard);
      const alone = makeWorld([deal.flat()], { elements }).members;
      reduceStep(alone, 0);
      const expected = sumOf(alone[0].exchange.result);
      const { tree, members } = makeWorld(deal, { elements });
      const gradient = expectedGradient(tree, elements);
      for (let step = 0; step < 2; step++) {
        for (const { reduced } of members) reduced.view.fill(NaN);
        reduceStep(members, step, (n) => order.next().value % n);
        for (const { exchange, reduced } of members) {
          assert.deepEqual(sumOf(exchange.result), expected);
          assert.deepEqual(reduced.view, gradient);
        }
      }
    }),
    { numRuns: 6 },
  );
});

Deno.test("makeExchange() with 64 members and shards gives up a step half way and does it again", () => {
  const { tree, members } = makeWorld(dealShards(64, 64), { elements: 20_000 });
  for (const { exchange } of members) exchange.begin({ step: 0, attempt: 0 });
  for (const member of members) computeShards(member, () => member.exchange.pump());
  for (let i = 0; i < 5; i++) for (const { exchange } of members) exchange.pump();
  for (const { exchange } of members) exchange.abort();
  assert.ok(members.every(({ exchange }) => exchange.done));
  for (const { exchange } of members) exchange.begin({ step: 0, attempt: 1 });
  for (const member of members) computeShards(member);
  pumpAll(members);
  const expected = expectedGradient(tree, 20_000);
  for (const { reduced } of members) assert.deepEqual(reduced.view, expected);
});

Deno.test("makeExchange() refuses a scratch that is too short", () => {
  const tree = new ReductionTree(2);
  const plans = planExchanges({ tree, nodes: [[1], [2]], rank: 0, elements: 40_000 });
  const { links } = makeWorld([[0], [1]], { elements: 40_000 });
  const [scratch, reduced, squares] = [100, 40_000, plans[0].squaresLength].map(allocate);
  const options = {
    links: links[0],
    nonce: new Uint8Array(16),
    generation: 1,
    kernels,
    resultKernels: kernels,
  };
  assert.throws(() => makeExchange(plans, { ...options, scratch, reduced, squares }), {
    code: "E_MEMORY",
    message: "Cannot add up others' gradients in 100 numbers: 16384 are needed",
  });
});
