import { LockstepError } from "../../shared/errors.ts";
import type { ReductionTree } from "../../shared/reduction_tree.ts";
import type { Region } from "../arena.ts";
import type { Kernels } from "../kernels/kernels.ts";

/** A complete sum that this member cannot add any further itself. */
export interface PartialSum {
  /** Its tree node. */
  readonly node: number;
  /** Its numbers, intact until the next step begins. */
  readonly region: Region;
}

/**
 * Adds a member's gradients along the reduction tree while its shards are computed, in ascending order, in as few
 * buffers as that takes. What is complete stays when other shards are dealt within the same step, so that only what is
 * missing is computed again. A step allocates no numbers.
 *
 * @example
 * ```ts ignore
 * for (const { node, region } of accumulator.begin(step)) exchange.announce(node, region.byteOffset);
 * for (const shard of accumulator.missing()) {
 *   await computeGradient(shard, accumulator.leafBuffer().view);
 *   const partial = accumulator.complete();
 *   if (partial !== null) exchange.announce(partial.node, partial.region.byteOffset);
 * }
 * ```
 */
export class Accumulator {
  #leaves: readonly number[] = [];
  #maximal: ReadonlySet<number> = new Set();
  #free: Region[];
  /** Complete sums by tree node: those that wait for their sibling, and the maximal ones. */
  readonly #sums = new Map<number, Region>();
  #missing: number[] = [];
  #step = -1;
  #current: Region | null = null;

  /** `buffers` are `Accumulator.bufferCount` regions of one gradient each, in the arena of `kernels`. */
  constructor(
    private readonly options: {
      tree: ReductionTree;
      leaves: readonly number[];
      kernels: Kernels;
      buffers: readonly Region[];
    },
  ) {
    this.#free = [...options.buffers];
    this.deal(options.leaves);
  }

  /** How many gradients must be held at once to add those of `leaves`, when the sums of the nodes `held` are there. */
  static bufferCount(tree: ReductionTree, leaves: Iterable<number>, held: Iterable<number> = []): number {
    const owned = [...leaves].sort((a, b) => a - b);
    const maximal = new Set(tree.maximalSubtrees(owned));
    const sums = new Set(held);
    let most = Math.max(1, sums.size);
    for (const leaf of owned) {
      if (isCovered(tree, leaf, sums)) continue;
      let node = tree.leaf(leaf);
      sums.add(node);
      most = Math.max(most, sums.size);
      while (!maximal.has(node) && sums.has(tree.sibling(node))) {
        sums.delete(tree.sibling(node));
        sums.delete(node);
        node = tree.nodes[node].parent;
        sums.add(node);
      }
    }
    return most;
  }

  /** From now on these shards are the member's. Throws E_MEMORY where the buffers do not suffice. */
  deal(leaves: readonly number[]): void {
    const { tree, buffers } = this.options;
    this.#leaves = leaves.toSorted((a, b) => a - b);
    this.#maximal = new Set(tree.maximalSubtrees(leaves));
    const needed = Accumulator.bufferCount(tree, leaves);
    if (buffers.length < needed) {
      throw new LockstepError(
        "E_MEMORY",
        `Cannot add the gradients of shards ${
          this.#leaves.join(", ")
        } in ${buffers.length} buffers: ${needed} are needed`,
      );
    }
    this.#missing = [...this.#leaves];
  }

  /** Starts a step, or another attempt at it. Returns the partial sums that an earlier attempt has left complete. */
  begin(step: number): PartialSum[] {
    const { tree, buffers } = this.options;
    if (this.#current !== null) this.#free.push(this.#current);
    this.#current = null;
    const owned = new Set(this.#leaves);
    for (const node of [...this.#sums.keys()]) {
      const { first, count } = tree.nodes[node];
      const isOwn = Array.from({ length: count }, (_, i) => first + i).every((leaf) => owned.has(leaf));
      if (step !== this.#step || !isOwn) this.#release(node);
    }
    this.#step = step;
    if (Accumulator.bufferCount(tree, this.#leaves, this.#sums.keys()) > buffers.length) {
      for (const node of [...this.#sums.keys()]) this.#release(node);
    }
    for (const node of [...this.#sums.keys()]) this.#addUp(node);
    this.#missing = this.#leaves.filter((leaf) => !isCovered(tree, leaf, this.#sums));
    return this.partials;
  }

  /** The shards that are still to be computed, ascending. */
  missing(): readonly number[] {
    return [...this.#missing];
  }

  /** The member's shards, ascending. */
  get leaves(): readonly number[] {
    return this.#leaves;
  }

  /** The partial sums that are complete. */
  get partials(): PartialSum[] {
    return [...this.#sums].flatMap(([node, region]) => this.#maximal.has(node) ? [{ node, region }] : []);
  }

  /** A buffer that holds nothing now; null where all do. */
  get spare(): Region | null {
    return this.#free.at(-1) ?? null;
  }

  /** Where the gradient of the first missing shard, or the sum of the first subtree, is to be written; all of it is overwritten. */
  leafBuffer(): Region {
    this.#current ??= this.#take();
    return this.#current;
  }

  /**
   * The gradient in `leafBuffer` is complete; or, with `node`, the sum of a subtree whose shards are the first that are
   * missing. Returns the partial sum that this completes, if any.
   */
  complete(node?: number): PartialSum | null {
    const { tree } = this.options;
    if (this.#missing.length === 0) throw new RangeError("Cannot complete a shard: none is missing");
    const summed = node ?? tree.leaf(this.#missing[0]);
    const { first, count } = tree.nodes[summed];
    if (this.#missing[0] !== first || this.#missing[count - 1] !== first + count - 1) {
      throw new RangeError(`Cannot complete node ${summed}: its shards are not the first that are missing`);
    }
    this.#missing.splice(0, count);
    this.#sums.set(summed, this.leafBuffer());
    this.#current = null;
    const sum = this.#addUp(summed);
    return this.#maximal.has(sum.node) ? sum : null;
  }

  /** Adds a sum to its sibling, if that is there, and so on upwards. */
  #addUp(start: number): PartialSum {
    const { tree, kernels } = this.options;
    let node = start;
    for (;;) {
      const region = this.#sums.get(node);
      if (region === undefined) throw new RangeError(`Cannot add the sum of node ${node}: it is not there`);
      const sibling = tree.sibling(node);
      const other = this.#sums.get(sibling);
      if (this.#maximal.has(node) || other === undefined) return { node, region };
      const { parent } = tree.nodes[node];
      const [left, right] = tree.nodes[parent].left === node ? [region, other] : [other, region];
      kernels.add(left.byteOffset, left.byteOffset, right.byteOffset, left.length);
      this.#sums.delete(node);
      this.#sums.delete(sibling);
      this.#free.push(right);
      this.#sums.set(parent, left);
      node = parent;
    }
  }

  #release(node: number): void {
    const region = this.#sums.get(node);
    if (region !== undefined) this.#free.push(region);
    this.#sums.delete(node);
  }

  #take(): Region {
    const region = this.#free.pop();
    if (region === undefined) throw new RangeError("Cannot take a buffer: all hold sums");
    return region;
  }
}

/** Whether a leaf is part of one of these nodes. */
function isCovered(
  tree: ReductionTree,
  leaf: number,
  nodes: ReadonlySet<number> | ReadonlyMap<number, unknown>,
): boolean {
  for (let node = tree.leaf(leaf); node >= 0; node = tree.nodes[node].parent) {
    if (nodes.has(node)) return true;
  }
  return false;
}
