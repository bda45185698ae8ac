import { LockstepError } from "../../shared/errors.ts";
import type { ReductionTree } from "../../shared/reduction_tree.ts";
import type { Region } from "../arena.ts";
import type { Kernels } from "../kernels/kernels.ts";

/** A complete sum that this member cannot add any further itself. */
export interface PartialSum {
  /** Its tree node. */
  node: number;
  /** Its numbers, intact until the next `begin`. */
  region: Region;
}

/**
 * Adds a member's gradients along the reduction tree while its shards are computed, in ascending order, in as few
 * buffers as that takes. A step allocates nothing.
 *
 * @example
 * ```ts ignore
 * accumulator.begin();
 * for (const shard of accumulator.leaves) {
 *   await computeGradient(shard, accumulator.leafBuffer().view);
 *   const partial = accumulator.complete();
 *   if (partial !== null) exchange.announce(partial.node, partial.region.byteOffset);
 * }
 * ```
 */
export class Accumulator {
  /** The member's shards, ascending. */
  readonly leaves: readonly number[];
  readonly #maximal: ReadonlySet<number>;
  readonly #free: Region[] = [];
  /** Sums that wait for their sibling, by tree node. */
  readonly #waiting = new Map<number, Region>();
  readonly #partials: PartialSum[] = [];
  #next = 0;
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
    const { tree, leaves, buffers } = options;
    this.leaves = leaves.toSorted((a, b) => a - b);
    this.#maximal = new Set(tree.maximalSubtrees(leaves));
    const needed = Accumulator.bufferCount(tree, leaves);
    if (buffers.length < needed) {
      throw new LockstepError(
        "E_MEMORY",
        `Cannot add the gradients of shards ${
          this.leaves.join(", ")
        } in ${buffers.length} buffers: ${needed} are needed`,
      );
    }
    this.begin();
  }

  /** How many gradients must be held at once to add those of `leaves`. */
  static bufferCount(tree: ReductionTree, leaves: Iterable<number>): number {
    const needed = (node: number): number => {
      const { left, right } = tree.nodes[node];
      return left < 0 ? 1 : Math.max(needed(left), 1 + needed(right));
    };
    const kept = tree.maximalSubtrees(leaves);
    return kept.reduce((most, node, earlier) => Math.max(most, earlier + needed(node)), 1);
  }

  /** Starts a step; earlier partial sums are given up. */
  begin(): void {
    this.#free.length = 0;
    for (const buffer of this.options.buffers) this.#free.push(buffer);
    this.#waiting.clear();
    this.#partials.length = 0;
    this.#next = 0;
    this.#current = null;
  }

  /** The partial sums that are complete: what a further attempt at the same step sends again. */
  get partials(): readonly PartialSum[] {
    return this.#partials;
  }

  /** Where the gradient of the next of `leaves` is to be written; all of it is overwritten. */
  leafBuffer(): Region {
    this.#current ??= this.#take();
    return this.#current;
  }

  /** The gradient in `leafBuffer` is complete. Returns the partial sum that this completes, if any. */
  complete(): PartialSum | null {
    const { tree, kernels } = this.options;
    let region = this.leafBuffer();
    let node = tree.leaf(this.leaves[this.#next++]);
    this.#current = null;
    while (!this.#maximal.has(node)) {
      const left = this.#waiting.get(tree.sibling(node));
      if (left === undefined) {
        this.#waiting.set(node, region);
        return null;
      }
      kernels.add(left.byteOffset, left.byteOffset, region.byteOffset, region.length);
      this.#waiting.delete(tree.sibling(node));
      this.#free.push(region);
      region = left;
      node = tree.nodes[node].parent;
    }
    const partial = { node, region };
    this.#partials.push(partial);
    return partial;
  }

  #take(): Region {
    const region = this.#free.pop();
    if (region === undefined) {
      throw new RangeError("Cannot take a buffer: complete() was called more often than shards exist");
    }
    return region;
  }
}
