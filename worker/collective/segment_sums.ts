import { type BlockHash, HASH_BLOCK, readHash } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Part } from "./buckets.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Accepted, Inbox, Source } from "./inbox.ts";
import type { Places } from "./places.ts";

/** A partial sum that is still in a peer's memory. */
interface Remote {
  readonly frame: Accepted;
  readonly source: Source;
}

/** Adds the frames of a member's own segment along the tree. */
export class SegmentSums {
  readonly #frames: readonly Part[];
  /** Byte offsets of own partial sums, by tree node. */
  readonly #own = new Map<number, number>();
  /** Which sums are there: element node · frames + frame. */
  readonly #present: Uint8Array;
  /** Of these, by the same element: those that are in peers' memory. */
  readonly #remote = new Map<number, Remote>();

  constructor(
    private readonly options: { plan: ExchangePlan; places: Places; inbox: Inbox; kernels: Kernels },
  ) {
    const { plan } = options;
    this.#frames = plan.frames[plan.shape.rank];
    this.#present = new Uint8Array(plan.shape.tree.nodes.length * this.#frames.length);
  }

  /** Starts a step: nothing is there. */
  begin(): void {
    this.#own.clear();
    this.#remote.clear();
    this.#present.fill(0);
  }

  /** The own sum of `node` is at a byte offset of the arena; its frames are still to be added. */
  setOwn(node: number, byteOffset: number): void {
    this.#own.set(node, byteOffset);
  }

  /** A frame of an own sum is there. Returns true if this completes the whole sum of the frame. */
  addOwn(node: number, frame: number): boolean {
    return this.#arrive(node, frame);
  }

  /** A frame of a peer's sum is there, in its place or at its source. Returns true if this completes the whole sum. */
  addReceived(frame: Accepted): boolean {
    const { source, bucket } = frame;
    if (source !== null) this.#remote.set(this.#index(bucket, frame.frame), { frame, source });
    return this.#arrive(bucket, frame.frame);
  }

  /**
   * Divides the whole sum of a frame by the shards, writes it to byte offset `to` of the results, and its hash to `out`.
   * The last addition is done on the way if a summand is still in a peer's memory.
   */
  finish(frame: number, { to, out }: { to: number; out: BlockHash }): void {
    const { plan: { shape: { tree } }, inbox, kernels } = this.options;
    const divisor = tree.leafCount;
    const last = this.#isThere(0, frame) ? null : this.#summands(0, frame);
    if (last !== null && last.remote !== null) {
      const { remote, a } = last;
      return inbox.finishSum(remote.frame, remote.source, { to, a, divisor, out });
    }
    if (last !== null) this.#addInto(0, frame);
    this.#bring(0, frame);
    const { start, length } = this.#frames[frame];
    kernels.hashReset();
    kernels.finish(to, this.#at(0, frame), length, start / HASH_BLOCK, divisor);
    readHash(kernels, out);
  }

  /** Adds the sum of `node` to its sibling, if that is there, and so on; true if only the last addition is left, or none. */
  #arrive(node: number, frame: number): boolean {
    const { tree } = this.options.plan.shape;
    this.#present[this.#index(node, frame)] = 1;
    const { parent } = tree.nodes[node];
    if (parent < 0) return true;
    if (!this.#isThere(tree.sibling(node), frame)) return false;
    if (parent === 0) return true;
    this.#addInto(parent, frame);
    return this.#arrive(parent, frame);
  }

  #addInto(parent: number, frame: number): void {
    const { inbox, kernels } = this.options;
    const { a, b, remote } = this.#summands(parent, frame);
    const to = this.#at(parent, frame);
    if (remote === null) kernels.add(to, a, b, this.#frames[frame].length);
    else inbox.fetchAdd(remote.frame, remote.source, { to, a });
  }

  /** Where the parts of `parent` are: at `a` and `b`, or at `a` and in a peer's memory. Only one is left there. */
  #summands(parent: number, frame: number): { a: number; b: number; remote: Remote | null } {
    const { left, right } = this.options.plan.shape.tree.nodes[parent];
    const remote = this.#remote.get(this.#index(right, frame));
    const other = this.#remote.get(this.#index(left, frame));
    const [a, b] = [this.#at(left, frame), this.#at(right, frame)];
    if (remote === undefined) {
      return other === undefined ? { a, b, remote: null } : { a: b, b: a, remote: other };
    }
    if (other !== undefined) this.#bring(left, frame);
    return { a, b, remote };
  }

  /** Copies a sum to this member, if it is in a peer's memory. */
  #bring(node: number, frame: number): void {
    const remote = this.#remote.get(this.#index(node, frame));
    if (remote === undefined) return;
    this.options.inbox.fetch(remote.frame, remote.source);
    this.#remote.delete(this.#index(node, frame));
  }

  #isThere(node: number, frame: number): boolean {
    return this.#present[this.#index(node, frame)] === 1;
  }

  #index(node: number, frame: number): number {
    return node * this.#frames.length + frame;
  }

  /** Where a frame of the sum of `node` is in this member's arena, or is to be. */
  #at(node: number, frame: number): number {
    return (this.#own.get(node) ?? this.options.places.scratchBase(node)) + 4 * this.#frames[frame].start;
  }
}
