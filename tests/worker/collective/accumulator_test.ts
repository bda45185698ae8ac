import assert from "node:assert/strict";
import fc from "fast-check";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { Arena } from "../../../worker/arena.ts";
import { Accumulator } from "../../../worker/collective/accumulator.ts";
import { loadKernels } from "../../../worker/kernels/kernels.ts";

const names = Array.from({ length: 16 }, (_, i) => `b${i}`);
const arena = Arena.create(Object.fromEntries(names.map((name) => [name, 3])));
const kernels = await loadKernels(arena);
const buffers = names.map((name) => arena.region(name));

/** Subsets of the leaves of trees with up to 16. */
const subset = fc.integer({ min: 1, max: 16 }).chain((n) =>
  fc.tuple(fc.constant(n), fc.subarray([...Array(n).keys()], { minLength: 1 }))
);

Deno.test("Accumulator adds any set of shards to its maximal subtrees, in as few buffers as it says", () => {
  fc.assert(fc.property(subset, ([n, leaves]) => {
    const tree = new ReductionTree(n);
    const needed = Accumulator.bufferCount(tree, leaves);
    const accumulator = new Accumulator({ tree, leaves, kernels, buffers: buffers.slice(0, needed) });
    for (const step of [0, 1]) {
      accumulator.begin(step);
      for (const leaf of accumulator.leaves) {
        accumulator.leafBuffer().view.set([10 ** leaf, 1, -(10 ** leaf)].map(Math.fround));
        accumulator.complete();
      }
      const partials = accumulator.partials;
      assert.deepEqual(partials.map(({ node }) => node), tree.maximalSubtrees(leaves));
      for (const { node, region } of partials) {
        const expected = sumOf(tree, node);
        assert.deepEqual([...region.view], [expected, tree.nodes[node].count, -expected]);
      }
    }
  }));
});

Deno.test("Accumulator.begin() keeps within a step what other shards are dealt of it, and computes only the rest", () => {
  fc.assert(fc.property(twoDeals, ([n, before, done, after]) => {
    const tree = new ReductionTree(n);
    const accumulator = new Accumulator({ tree, leaves: before, kernels, buffers });
    const compute = (leaf: number) => {
      accumulator.leafBuffer().view.set([10 ** leaf, 1, -(10 ** leaf)].map(Math.fround));
      accumulator.complete();
    };
    accumulator.begin(3);
    const computed = accumulator.missing().slice(0, done);
    computed.forEach(compute);
    accumulator.deal(after);
    accumulator.begin(3);
    const missing = accumulator.missing();
    // A sum that holds a shard of somebody else now is of no use; every other shard is computed once.
    const lost = new Set(
      tree.maximalSubtrees(computed).map((node) => tree.nodes[node])
        .filter(({ first, count }) => !range(first, count).every((leaf) => after.includes(leaf)))
        .flatMap(({ first, count }) => range(first, count)),
    );
    const kept = computed.filter((leaf) => after.includes(leaf) && !lost.has(leaf));
    assert.ok(kept.every((leaf) => !missing.includes(leaf)), `${kept} of ${computed} should be kept`);
    missing.forEach(compute);
    const partials = new Map(accumulator.partials.map(({ node, region }) => [node, [...region.view]]));
    assert.deepEqual([...partials.keys()].sort(), tree.maximalSubtrees(after).sort());
    for (const [node, sum] of partials) {
      assert.deepEqual(sum, [sumOf(tree, node), tree.nodes[node].count, -sumOf(tree, node)]);
    }
  }));
});

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);

/** Shards dealt, how many of them are computed, and shards dealt then. */
const twoDeals = fc.integer({ min: 1, max: 12 }).chain((n) => {
  const deal = fc.subarray([...Array(n).keys()], { minLength: 1 });
  return fc.tuple(fc.constant(n), deal, fc.nat(n), deal);
});

function sumOf(tree: ReductionTree, node: number): number {
  const { first, left, right } = tree.nodes[node];
  return Math.fround(left < 0 ? 10 ** first : sumOf(tree, left) + sumOf(tree, right));
}

Deno.test("Accumulator.complete() takes sums of whole subtrees, and adds them to what is there", () => {
  fc.assert(fc.property(twoDeals, ([n, leaves, done]) => {
    const tree = new ReductionTree(n);
    const accumulator = new Accumulator({ tree, leaves, kernels, buffers });
    accumulator.begin(0);
    const brought = (node: number) => [sumOf(tree, node), tree.nodes[node].count, -sumOf(tree, node)];
    const complete = (node: number) => {
      accumulator.leafBuffer().view.set(brought(node));
      return accumulator.complete(node);
    };
    for (const leaf of accumulator.missing().slice(0, done)) complete(tree.leaf(leaf));
    accumulator.begin(0);
    const announced = tree.maximalSubtrees(accumulator.missing()).flatMap((node) => complete(node) ?? []);
    assert.deepEqual(accumulator.missing(), []);
    assert.ok(announced.every((sum) => accumulator.partials.some(({ region }) => region === sum.region)));
    const partials = accumulator.partials.sort((a, b) => a.node - b.node);
    assert.deepEqual(partials.map(({ node }) => node), tree.maximalSubtrees(leaves));
    for (const { node, region } of partials) assert.deepEqual([...region.view], brought(node));
  }));
});

Deno.test("Accumulator.complete() refuses a subtree whose shards are not the first that are missing", () => {
  const tree = new ReductionTree(4); // 0: (1: (2 3)) (4: (5 6))
  const accumulator = new Accumulator({ tree, leaves: [0, 2, 3], kernels, buffers });
  accumulator.begin(0);
  for (const node of [0, 1, 4, 5]) assert.throws(() => accumulator.complete(node), RangeError);
  accumulator.complete();
  accumulator.complete(4);
  assert.throws(() => accumulator.complete(), /none is missing/);
});

Deno.test("Accumulator.bufferCount() is the depth of the tree for a whole step", () => {
  const counts = [1, 2, 3, 4, 6, 8, 12, 16].map((n) =>
    Accumulator.bufferCount(new ReductionTree(n), Array(n).keys())
  );
  assert.deepEqual(counts, [1, 2, 2, 3, 3, 4, 4, 5]);
  assert.equal(Accumulator.bufferCount(new ReductionTree(8), []), 1);
});

Deno.test("Accumulator refuses too few buffers with E_MEMORY", () => {
  const tree = new ReductionTree(4);
  assert.throws(
    () => new Accumulator({ tree, leaves: [0, 1, 2, 3], kernels, buffers: buffers.slice(0, 2) }),
    { code: "E_MEMORY", message: /in 2 buffers: 3 are needed$/ },
  );
});
