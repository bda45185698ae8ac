import assert from "node:assert/strict";
import fc from "fast-check";
import { ReductionTree } from "../../shared/reduction_tree.ts";

Deno.test("ReductionTree.print() shows ⌈n/2⌉ and ⌊n/2⌋ at every node", () => {
  const printed = [1, 2, 3, 5, 6, 7, 8, 12].map((leaves) => new ReductionTree(leaves).print());
  assert.deepEqual(printed, [
    "0",
    "(0 1)",
    "((0 1) 2)",
    "(((0 1) 2) (3 4))",
    "(((0 1) 2) ((3 4) 5))",
    "(((0 1) (2 3)) ((4 5) 6))",
    "(((0 1) (2 3)) ((4 5) (6 7)))",
    "((((0 1) 2) ((3 4) 5)) (((6 7) 8) ((9 10) 11)))",
  ]);
});

Deno.test("ReductionTree.nodes are numbered in preorder and know their relatives", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), (leafCount) => {
    const tree = new ReductionTree(leafCount);
    assert.equal(tree.nodes.length, 2 * leafCount - 1);
    tree.nodes.forEach((node, i) => {
      assert.equal(node.index, i);
      if (node.left < 0) return assert.equal(tree.leaf(node.first), i);
      assert.equal(node.left, i + 1);
      assert.equal(tree.nodes[node.left].parent, i);
      assert.equal(tree.sibling(node.left), node.right);
      assert.equal(tree.sibling(node.right), node.left);
      assert.equal(tree.nodes[node.left].count - tree.nodes[node.right].count, node.count % 2);
    });
    assert.equal(tree.sibling(0), -1);
  }));
});

Deno.test("ReductionTree.maximalSubtrees() covers any subset exactly, with no two siblings left", () => {
  const subset = fc.integer({ min: 1, max: 24 }).chain((n) =>
    fc.tuple(fc.constant(n), fc.subarray([...Array(n).keys()]))
  );
  fc.assert(fc.property(subset, ([n, leaves]) => {
    const tree = new ReductionTree(n);
    const subtrees = tree.maximalSubtrees(leaves.toReversed());
    const covered = subtrees.flatMap((index) => {
      const { first, count } = tree.nodes[index];
      return Array.from({ length: count }, (_, i) => first + i);
    });
    assert.deepEqual(covered, leaves);
    for (const index of subtrees) assert.ok(!subtrees.includes(tree.sibling(index)));
  }));
});

Deno.test("ReductionTree.maximalSubtrees() prints what a member keeps", () => {
  const tree = new ReductionTree(8);
  const kept = (leaves: number[]) =>
    tree.maximalSubtrees(leaves).map((index) => tree.print(index)).join(" + ");
  assert.equal(kept([0, 1, 2]), "(0 1) + 2");
  assert.equal(kept([3, 4, 5, 6]), "3 + (4 5) + 6");
  assert.equal(kept([4, 5, 6, 7]), "((4 5) (6 7))");
  assert.equal(kept([1, 6]), "1 + 6");
});

Deno.test("ReductionTree.sum() adds along the tree", () => {
  const values = [1e16, 1, -1e16, 1, 3];
  assert.equal(new ReductionTree(5).sum(values), ((1e16 + 1) + -1e16) + (1 + 3));
});
