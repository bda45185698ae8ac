import assert from "node:assert/strict";
import { dealShards } from "../../../coordinator/plan.ts";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { ExchangePlan } from "../../../worker/collective/exchange_plan.ts";

function plans(deal: number[][], elements: number): ExchangePlan[] {
  const tree = new ReductionTree(deal.flat().length);
  const nodes = deal.map((leaves) => tree.maximalSubtrees(leaves));
  return deal.map((_, rank) => new ExchangePlan({ tree, nodes, rank, elements }));
}

Deno.test("ExchangePlan.print() shows what a member finishes, from whom, and where", () => {
  assert.deepEqual(plans(dealShards(8, 3), 100_000).map((plan) => plan.print()), [
    "rank 0 finishes 0..32768: " +
    "[[own (0 1) + [own 2 + 3 from 1 in #0] in #0] in #0 + [(4 5) from 1 in #1 + (6 7) from 2 in #2] in #1] in #0",
    "rank 1 finishes 32768..65536: " +
    "[[(0 1) from 0 in #0 + [2 from 0 in #1 + own 3] in #1] in #0 + [own (4 5) + (6 7) from 2 in #2] in #2] in #0",
    "rank 2 finishes 65536..100000: " +
    "[[(0 1) from 0 in #0 + [2 from 0 in #1 + 3 from 1 in #2] in #1] in #0 + [(4 5) from 1 in #3 + own (6 7)] in #3] in #0",
  ]);
  assert.deepEqual(plans([[0, 1, 2]], 5).map((plan) => plan.print()), [
    "rank 0 finishes 0..5: own ((0 1) 2)",
  ]);
});

Deno.test("ExchangePlan never gives an own partial sum a slot, so that none is written over", () => {
  const tree = new ReductionTree(4);
  const plan = new ExchangePlan({ tree, nodes: [[2, 3], [4]], rank: 0, elements: 20_000 });
  assert.equal(plan.print(), "rank 0 finishes 0..16384: [[own 0 + own 1] in #0 + (2 3) from 1 in #1] in #0");
  assert.equal(plan.slotCount, 2);
  assert.equal(plan.scratchLength, 2 * 16_384);
  assert.equal(plan.squaresLength, 10);
});

Deno.test("ExchangePlan refuses shards that are missing or dealt twice", () => {
  const tree = new ReductionTree(4);
  const plan = (nodes: number[][]) => () => new ExchangePlan({ tree, nodes, rank: 0, elements: 10 });
  assert.throws(plan([[1], [5]]), { code: "E_DECODE", message: /shard 3 is dealt 0 times$/ });
  assert.throws(plan([[0], [5]]), { code: "E_DECODE", message: /shard 2 is dealt 2 times$/ });
});
