import { type Batch, createBatch, type Dataset } from "../shared/data/datasets/dataset.ts";
import { isInRange, type Span, Spans } from "../shared/spans.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import { Arena, type Region, type SharedArena } from "./arena.ts";
import { Accumulator } from "./collective/accumulator.ts";
import { type Part, segmentsOf } from "./collective/buckets.ts";
import type { Engine, Shard, Trainer } from "./engines/engine.ts";
import { sliceRows } from "./engines/slices.ts";
import { type BlockHash, HASH_BLOCK, hashHex, hashPart } from "./kernels/block_hash.ts";
import { bindKernels, type Kernels } from "./kernels/kernels.ts";
import { ATOM } from "./optimizer/clip.ts";
import type { Replica } from "./replica.ts";

/** The mean loss of one virtual shard. */
export interface ShardLoss {
  readonly shard: number;
  readonly loss: number;
}

/** What a member has computed of a step. */
export interface ComputedStep {
  /** Of all its shards. */
  readonly losses: ShardLoss[];
  /** The hashes of the buckets of the audited shard's gradient in a row; null where it was not computed now. */
  readonly audited: string | null;
  /** In a profiled step. */
  readonly spans?: readonly Span[];
}

/** Into how many an audited gradient is cut, so that a difference can be told where it is. */
const AUDITED_BUCKETS = 8;

/** Told when a partial sum is complete, so that it is sent while the next shards compute. */
export type OnPartial = (node: number, byteOffset: number) => void;

/** A partial sum that is complete. */
export interface PartialEvent {
  readonly node: number;
  readonly byteOffset: number;
}

/** What steps of any generation need: memory, and the program. */
export interface TrainingSetup {
  /** Partial sums, and the region "scratch". */
  readonly partials: SharedArena<string>;
  /** SHA-256 of the compiled step; null for an engine that runs it op by op. */
  readonly graph: string | null;
}

export interface TrainingOptions {
  /** Room for others' partial sums, in gradients: the most that a plan of the coordinator asks for. */
  readonly scratchGradients: number;
}

/**
 * Computes the gradients of one member's shards, and adds them along the tree. Program and memory are made once and serve
 * every generation: whatever shards are dealt to this member, the sums that it has stay where they are.
 */
export class ShardTrainer {
  readonly #batch: Batch;
  /** Of the step under way, by shard. */
  readonly #losses = new Map<number, number>();
  #step = -1;

  private constructor(
    private readonly parts: {
      readonly dataset: Dataset;
      readonly trainer: Trainer;
      readonly tree: ReductionTree;
      readonly accumulator: Accumulator;
      readonly kernels: Kernels;
      readonly seed: number;
      readonly profile: string | null;
      /** The memory must live as long as its regions are used. */
      readonly partials: Arena<string>;
    },
    readonly setup: TrainingSetup,
    shape: { batch_size: number; block_size: number },
  ) {
    this.#batch = createBatch(shape.batch_size, shape.block_size);
  }

  static async create(
    replica: Replica,
    { scratchGradients, dataset, openEngine }: TrainingOptions & {
      dataset: Dataset;
      /** Opens the engine over the memory of partial sums. */
      openEngine(memory: { partials: Arena<string>; slice: Region | null }): Promise<Engine>;
    },
  ): Promise<ShardTrainer> {
    const { config, model: { size } } = replica;
    const V = config.gradient_accumulation_steps;
    const tree = new ReductionTree(V);
    const shape = { batchSize: config.batch_size, length: config.block_size };
    const sliced = sliceRows(shape) < shape.batchSize;
    const buffers = Array.from(
      { length: Accumulator.bufferCount(tree, Array(V).keys()) },
      (_, i) => `sum${i}`,
    );
    // Segments are whole hash blocks of four atoms, on two levels where members are more than eight.
    const scratch = Math.ceil(scratchGradients * size) + 8 * V * ATOM;
    const lengths: Record<string, number> = { slice: sliced ? size : 0, scratch };
    for (const name of buffers) lengths[name] = size;
    const partials = Arena.create(lengths);
    partials.adviseHugePages();
    const engine = await openEngine({ partials, slice: sliced ? partials.region("slice") : null });
    const kernels = bindKernels(replica.module, { arena: partials });
    const accumulator = new Accumulator({
      tree,
      leaves: [],
      kernels,
      buffers: buffers.map((name) => partials.region(name)),
    });
    const trainer = await engine.trainer(shape);
    const setup = { partials: partials.share(), graph: trainer.graph };
    const parts = {
      dataset,
      trainer,
      tree,
      accumulator,
      kernels,
      seed: config.seed,
      profile: config.profile,
      partials,
    };
    return new ShardTrainer(parts, setup, config);
  }

  /** From now on these shards are this member's. */
  deal(shards: readonly number[]): void {
    this.parts.accumulator.deal(shards);
  }

  /**
   * Computes what is missing of this member's shards in ascending order; partial sums are announced as they are complete,
   * those first that an earlier attempt at the step has left. The shard `audit` is hashed, and computed for that if it is
   * another member's. Resolves to null as soon as `isAborted`: what is complete in the arena then is kept.
   */
  async computeStep(
    step: number,
    { audit, onPartial, isAborted }: {
      audit: number | null;
      onPartial: OnPartial;
      isAborted: () => boolean;
    },
  ): Promise<ComputedStep | null> {
    const { accumulator } = this.parts;
    const spans = isInRange(step, this.parts.profile) ? new Spans("compute") : undefined;
    let audited: string | null = null;
    if (step !== this.#step) this.#losses.clear();
    this.#step = step;
    for (const { node, region } of accumulator.begin(step)) onPartial(node, region.byteOffset);
    for (const node of this.#missingNodes(audit)) {
      if (isAborted()) return null;
      const into = accumulator.leafBuffer();
      const { first, count } = this.parts.tree.nodes[node];
      const began = performance.now();
      const losses = await this.#sum(node, { step, into, isAborted });
      if (losses === null) return null;
      spans?.add(count === 1 ? `shard ${first}` : `shards ${first}–${first + count - 1}`, began);
      losses.forEach((loss, i) => this.#losses.set(first + i, loss));
      if (count === 1 && first === audit) audited = this.#bucketHashes(into);
      const computedAt = performance.now();
      const partial = accumulator.complete(node);
      spans?.add("add up", computedAt);
      if (partial !== null && !isAborted()) onPartial(partial.node, partial.region.byteOffset);
    }
    const { leaves, spare } = accumulator;
    if (audit !== null && !leaves.includes(audit) && spare !== null && !isAborted()) {
      const began = performance.now();
      await this.#gradients({ step, shard: audit }, spare);
      audited = this.#bucketHashes(spare);
      spans?.add(`audit of shard ${audit}`, began);
    }
    if (isAborted()) return null;
    const losses = leaves.map((shard) => ({ shard, loss: this.#losses.get(shard) ?? NaN }));
    return { losses, audited, spans: spans?.list };
  }

  /** The hash of the gradient of the first shard of step 0: what members must have in common. */
  async fingerprint(): Promise<string> {
    const { accumulator } = this.parts;
    accumulator.begin(-1);
    await this.#gradients({ step: 0, shard: 0 }, accumulator.leafBuffer());
    return this.#hash(accumulator.leafBuffer());
  }

  /**
   * Nodes of the tree that cover the missing shards, in order: single shards, or where the engine adds them itself the
   * largest, of which the shard `audit` is none, as its own gradient is to be seen.
   */
  #missingNodes(audit: number | null): number[] {
    const { tree, trainer, accumulator } = this.parts;
    const missing = accumulator.missing();
    if (trainer.sumSubtree === undefined) return missing.map((shard) => tree.leaf(shard));
    const apart = missing.filter((shard) => shard === audit).map((shard) => tree.leaf(shard));
    const others = tree.maximalSubtrees(missing.filter((shard) => shard !== audit));
    return [...others, ...apart].sort((a, b) => a - b);
  }

  /** The sum of a node's gradients and the losses of its shards; null once it is aborted, which one shard never is. */
  async #sum(
    node: number,
    { step, into, isAborted }: { step: number; into: Region; isAborted: () => boolean },
  ): Promise<number[] | null> {
    const { tree, trainer } = this.parts;
    const { first, count } = tree.nodes[node];
    if (count === 1 || trainer.sumSubtree === undefined) {
      return [await this.#gradients({ step, shard: first }, into)];
    }
    const shard = (shard: number) => this.#shard({ step, shard });
    return await trainer.sumSubtree({ tree, node, shard, isAborted }, into);
  }

  #gradients(at: { step: number; shard: number }, into: Region): Promise<number> {
    const { batch, key } = this.#shard(at);
    return this.parts.trainer.gradients(batch, into, key);
  }

  /** Until the next one. */
  #shard(at: { step: number; shard: number }): Shard {
    const { dataset, seed } = this.parts;
    dataset.trainBatch(at, this.#batch);
    return { batch: this.#batch, key: { seed, ...at } };
  }

  #hash({ byteOffset, length }: Region): string {
    return this.#hashOf(byteOffset, { start: 0, length });
  }

  #bucketHashes({ byteOffset, length }: Region): string {
    const parts = segmentsOf({ start: 0, length }, AUDITED_BUCKETS);
    return parts.map((part) => this.#hashOf(byteOffset, part)).join("");
  }

  #hashOf(byteOffset: number, { start, length }: Part): string {
    const hash: BlockHash = new Uint32Array(4);
    const firstBlock = start / HASH_BLOCK;
    hashPart(this.parts.kernels, { byteOffset: byteOffset + 4 * start, length, firstBlock }, hash);
    return hashHex(hash);
  }
}
