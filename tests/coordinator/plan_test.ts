import assert from "node:assert/strict";
import fc from "fast-check";
import { dealShards, redealShards, scratchCapacity } from "../../coordinator/plan.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";

Deno.test("dealShards() gives every shard once, in order, with loads that differ by at most one", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 45 }), (shards, members) => {
      const plan = dealShards(shards, members);
      assert.equal(plan.length, members);
      assert.deepEqual(plan.flat(), [...Array(shards).keys()]);
      const loads = plan.map((own) => own.length);
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 1);
    }),
  );
});

Deno.test("dealShards() follows the tree where a balanced deal allows it", () => {
  const printed = (shards: number, members: number) => {
    const tree = new ReductionTree(shards);
    return dealShards(shards, members)
      .map((own) => tree.maximalSubtrees(own).map((index) => tree.print(index)).join(" + "));
  };
  assert.deepEqual(printed(8, 1), ["(((0 1) (2 3)) ((4 5) (6 7)))"]);
  assert.deepEqual(printed(8, 3), ["(0 1) + 2", "3 + (4 5)", "(6 7)"]);
  assert.deepEqual(printed(6, 4), ["(0 1)", "2", "(3 4)", "5"]);
  assert.deepEqual(printed(12, 8), ["(0 1)", "2", "(3 4)", "5", "(6 7)", "8", "(9 10)", "11"]);
  assert.deepEqual(printed(2, 3), ["0", "1", ""]);
});

Deno.test("dealShards() gives each member one complete subtree when members are a power of two that divides the shards", () => {
  for (const [shards, members] of [[8, 4], [12, 4], [16, 8], [6, 2], [64, 16]]) {
    const tree = new ReductionTree(shards);
    for (const own of dealShards(shards, members)) assert.equal(tree.maximalSubtrees(own).length, 1);
  }
});

Deno.test("redealShards() leaves everybody what it has, and deals what is lost to whoever has the neighbours, or the least", () => {
  assert.deepEqual(redealShards(8, { kept: [[0, 1, 2], [6, 7]], scratchGradients: 2 }), [[0, 1, 2, 3], [
    4,
    5,
    6,
    7,
  ]]);
  const lossOf = fc.integer({ min: 2, max: 24 }).chain((V) =>
    fc.integer({ min: 2, max: Math.min(V, 8) }).chain((W) =>
      fc.tuple(fc.constant(V), fc.constant(W), fc.integer({ min: 0, max: W - 1 }))
    )
  );
  fc.assert(fc.property(lossOf, ([V, W, lost]) => {
    const kept = dealShards(V, W).toSpliced(lost, 1);
    const scratchGradients = scratchCapacity(V, W);
    const plan = redealShards(V, { kept, scratchGradients });
    assert.deepEqual(plan.flat().sort((a, b) => a - b), [...Array(V).keys()]);
    const tree = new ReductionTree(V);
    const nodes = plan.map((shards) => tree.maximalSubtrees(shards).length);
    const foreign = nodes.reduce((a, b) => a + b, 0) - Math.min(...nodes);
    assert.ok(foreign / plan.length <= scratchGradients, "others' sums find room");
    const keeps = kept.every((shards, rank) => shards.every((shard) => plan[rank].includes(shard)));
    if (!keeps) assert.deepEqual(plan, dealShards(V, W - 1));
  }));
});
