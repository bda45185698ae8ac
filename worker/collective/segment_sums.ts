import { type BlockHash, HASH_BLOCK, readHash } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Part } from "./buckets.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Accepted, Inbox, Source } from "./inbox.ts";
import type { Places } from "./places.ts";

/** A frame of a sum: at a byte offset of the arena, or still in a peer's memory. */
type Sum = { readonly at: number } | Remote;

interface Remote {
  readonly frame: Accepted;
  readonly source: Source;
}

/** Adds the frames of a member's own segment along the tree, each as soon as all have brought their sums of it. */
export class SegmentSums {
  readonly #frames: readonly Part[];
  /** Byte offsets of own partial sums, by tree node. */
  readonly #own = new Map<number, number>();
  /** By frame: how many sums are still to be brought. */
  readonly #missing: Uint32Array;
  /** Sums that are in peers' memory: element node · frames + frame. */
  readonly #remote = new Map<number, Remote>();
  /** Slots in which frames of a peer's sum wait, each in its place. */
  readonly #occupied = new Set<number>();

  constructor(
    private readonly options: { plan: ExchangePlan; places: Places; inbox: Inbox; kernels: Kernels },
  ) {
    const { plan } = options;
    this.#frames = plan.frames[plan.shape.rank];
    this.#missing = new Uint32Array(this.#frames.length);
  }

  /** Starts a step: nothing is there. */
  begin(): void {
    this.#own.clear();
    this.#remote.clear();
    this.#occupied.clear();
    const { owners, level } = this.options.plan;
    this.#missing.fill(owners.size);
    if (!level.finishes) { for (const root of level.roots) this.#occupied.add(this.#slot(root)); }
  }

  /** The own sum of `node` is at a byte offset of the arena; its frames are still to be added. */
  setOwn(node: number, byteOffset: number): void {
    this.#own.set(node, byteOffset);
  }

  /** A frame of an own sum is there. Returns true if nothing of this frame is missing any more. */
  addOwn(frame: number): boolean {
    return --this.#missing[frame] === 0;
  }

  /** A frame of a peer's sum is there, in its place or at its source. Returns true if nothing of it is missing any more. */
  addReceived(frame: Accepted): boolean {
    const { source, bucket } = frame;
    if (source === null) this.#occupied.add(this.#slot(bucket));
    else this.#remote.set(this.#index(bucket, frame.frame), { frame, source });
    return --this.#missing[frame.frame] === 0;
  }

  /** Adds what was brought of a frame, where the sums do not end with the root; others go on with them from `rootBase`. */
  addUp(frame: number): void {
    for (const root of this.options.plan.level.roots) {
      if ("source" in this.#sum(root, frame)) this.#bring(root, frame);
    }
  }

  /** Where the sum of a root starts, as if the whole gradient were there; a byte offset. */
  rootBase(root: number): number {
    return this.#own.get(root) ?? this.options.places.scratchBase(root);
  }

  /**
   * Adds what was brought of a frame, divides by the shards, and writes it to byte offset `to` of the results and its hash
   * to `out`.
   */
  finish(frame: number, { to, out }: { to: number; out: BlockHash }): void {
    const { plan: { owners, shape: { tree } }, inbox, kernels } = this.options;
    const { start, length } = this.#frames[frame];
    const [block, divisor] = [start / HASH_BLOCK, tree.leafCount];
    if (owners.has(0)) {
      const at = this.#bring(0, frame);
      kernels.hashReset();
      kernels.finish(to, at, length, block, divisor);
      return readHash(kernels, out);
    }
    const { a, b } = this.#summands(0, frame);
    if ("source" in b) return inbox.finishFetchAdd(b.frame, b.source, { to, a, divisor, out });
    kernels.hashReset();
    kernels.finishAdd(to, a, b.at, length, block, divisor);
    readHash(kernels, out);
  }

  /** The sum of a node: as it was brought, or that of its parts. */
  #sum(node: number, frame: number): Sum {
    const { plan: { owners }, inbox, kernels } = this.options;
    if (owners.has(node)) return this.#remote.get(this.#index(node, frame)) ?? { at: this.#at(node, frame) };
    const { a, b } = this.#summands(node, frame);
    const to = this.#at(node, frame);
    if ("source" in b) inbox.fetchAdd(b.frame, b.source, { to, a });
    else kernels.add(to, a, b.at, this.#frames[frame].length);
    return { at: to };
  }

  /** The parts of a node, of which at most one is still in a peer's memory. */
  #summands(node: number, frame: number): { a: number; b: Sum } {
    const { left, right } = this.options.plan.shape.tree.nodes[node];
    const [a, b] = [this.#sum(left, frame), this.#sum(right, frame)];
    if ("at" in a) return { a: a.at, b };
    return "at" in b ? { a: b.at, b: a } : { a: this.#bring(left, frame), b };
  }

  /** Copies a sum that was brought to this member, unless it is here; returns where it is. */
  #bring(node: number, frame: number): number {
    const at = this.#at(node, frame);
    const remote = this.#remote.get(this.#index(node, frame));
    if (remote !== undefined) this.options.inbox.fetch(remote.frame, { source: remote.source, to: at });
    return at;
  }

  /**
   * Where a frame of the sum of `node` is in this member's arena, or is to be. What is there only until the frame is
   * finished is at the start of its slot, which so stays in the caches.
   */
  #at(node: number, frame: number): number {
    const { start } = this.#frames[frame];
    const own = this.#own.get(node);
    if (own !== undefined) return own + 4 * start;
    const base = this.options.places.scratchBase(node);
    return base + 4 * (this.#occupied.has(this.#slot(node)) ? start : this.#frames[0].start);
  }

  #slot(node: number): number {
    return this.options.plan.slots.get(node) ?? -1;
  }

  #index(node: number, frame: number): number {
    return node * this.#frames.length + frame;
  }
}
