/** A node of the tree: the leaves first … first + count − 1, and the indices of its parts. */
export interface TreeNode {
  readonly index: number;
  readonly first: number;
  readonly count: number;
  /** −1 for the root. */
  readonly parent: number;
  /** −1 for a leaf, as is `right`. */
  readonly left: number;
  readonly right: number;
}

/**
 * The one binary tree in which the gradients of a step's V virtual shards are added, whoever computes them: a node of
 * n leaves splits into ⌈n/2⌉ and ⌊n/2⌋. Nodes are numbered in preorder: the root is 0, a node comes before its left
 * part, that before its right part. Because the tree is fixed, so is every bit of the sum.
 */
export class ReductionTree {
  readonly nodes: readonly TreeNode[];
  readonly #leaves: number[] = [];

  constructor(readonly leafCount: number) {
    const nodes: TreeNode[] = [];
    const grow = (first: number, count: number, parent: number): number => {
      const index = nodes.length;
      if (count === 1) this.#leaves[first] = index;
      const upper = Math.ceil(count / 2);
      nodes.push({ index, first, count, parent, left: -1, right: -1 });
      if (count > 1) {
        const left = grow(first, upper, index);
        const right = grow(first + upper, count - upper, index);
        nodes[index] = { index, first, count, parent, left, right };
      }
      return index;
    };
    grow(0, leafCount, -1);
    this.nodes = nodes;
  }

  /** The index of a leaf's node. */
  leaf(leaf: number): number {
    return this.#leaves[leaf];
  }

  /** The node that is added to this one; −1 for the root. */
  sibling(index: number): number {
    const { parent } = this.nodes[index];
    if (parent < 0) return -1;
    const { left, right } = this.nodes[parent];
    return left === index ? right : left;
  }

  /**
   * The fewest nodes that cover exactly these leaves, in order: what is left when everything is added that can be.
   * Leaves may be any subset, in any order.
   */
  maximalSubtrees(leaves: Iterable<number>): number[] {
    const owned = new Set(leaves);
    const cover = (index: number): number[] => {
      const { first, left, right } = this.nodes[index];
      if (left < 0) return owned.has(first) ? [index] : [];
      const parts = [...cover(left), ...cover(right)];
      const complete = parts.length === 2 && parts[0] === left && parts[1] === right;
      return complete ? [index] : parts;
    };
    return cover(0);
  }

  /** Adds one float64 number a leaf, along the tree: the bits do not depend on who brought which number. */
  sum(values: ArrayLike<number>): number {
    const add = (index: number): number => {
      const { first, left, right } = this.nodes[index];
      return left < 0 ? values[first] : add(left) + add(right);
    };
    return add(0);
  }

  /** The tree, or the part below `root`, as nested parentheses: "((0 1) 2)". */
  print(root = 0): string {
    const { first, left, right } = this.nodes[root];
    return left < 0 ? `${first}` : `(${this.print(left)} ${this.print(right)})`;
  }
}
