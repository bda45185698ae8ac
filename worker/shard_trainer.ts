import { type Batch, createBatch, type Dataset } from "../shared/data/datasets/dataset.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import { Arena, type Region, type SharedArena } from "./arena.ts";
import { Accumulator } from "./collective/accumulator.ts";
import { ExchangePlan } from "./collective/exchange_plan.ts";
import type { Engine, Trainer } from "./engines/engine.ts";
import { sliceRows } from "./engines/slices.ts";
import { bindKernels } from "./kernels/kernels.ts";
import type { Replica } from "./replica.ts";

/** The mean loss of one virtual shard. */
export interface ShardLoss {
  readonly shard: number;
  readonly loss: number;
}

/** Told when a partial sum is complete, so that it is sent while the next shards compute. */
export type OnPartial = (node: number, byteOffset: number) => void;

/** A partial sum that is complete. */
export interface PartialEvent {
  readonly node: number;
  readonly byteOffset: number;
}

/** Who computes which virtual shards (`shards[rank]`), and which rank this member has. */
export interface ShardPlan {
  readonly shards: readonly (readonly number[])[];
  readonly rank: number;
}

/** What the reduction of a generation needs to know. */
export interface ReductionSetup {
  /** Partial sums, and the region "scratch". */
  readonly partials: SharedArena<string>;
  /** By rank: the tree nodes that the member brings. */
  readonly nodes: number[][];
  /** SHA-256 of the compiled step; null for an engine that runs it op by op. */
  readonly graph: string | null;
}

/** Computes the gradients of one member's shards in a generation, and adds them along the tree. */
export class ShardTrainer {
  readonly #batch: Batch;

  private constructor(
    private readonly parts: {
      readonly dataset: Dataset;
      readonly trainer: Trainer;
      readonly accumulator: Accumulator;
      readonly seed: number;
    },
    readonly setup: ReductionSetup,
    readonly partials: Arena<string>,
    shape: { batch_size: number; block_size: number },
  ) {
    this.#batch = createBatch(shape.batch_size, shape.block_size);
  }

  static async create(
    replica: Replica,
    { plan, dataset, openEngine }: {
      plan: ShardPlan;
      dataset: Dataset;
      /** Opens the engine over the memory of this generation. */
      openEngine(memory: { partials: Arena<string>; slice: Region | null }): Promise<Engine>;
    },
  ): Promise<ShardTrainer> {
    const { config, model: { size } } = replica;
    const tree = new ReductionTree(config.gradient_accumulation_steps);
    const leaves = plan.shards[plan.rank];
    const nodes = plan.shards.map((shards) => tree.maximalSubtrees(shards));
    const { scratchLength } = new ExchangePlan({ tree, nodes, rank: plan.rank, elements: size });
    const shape = { batchSize: config.batch_size, length: config.block_size };
    const sliced = sliceRows(shape) < shape.batchSize;
    const buffers = Array.from({ length: Accumulator.bufferCount(tree, leaves) }, (_, i) => `sum${i}`);
    const lengths: Record<string, number> = { slice: sliced ? size : 0, scratch: scratchLength };
    for (const name of buffers) lengths[name] = size;
    const partials = Arena.create(lengths);
    partials.adviseHugePages();
    const engine = await openEngine({ partials, slice: sliced ? partials.region("slice") : null });
    const accumulator = new Accumulator({
      tree,
      leaves,
      kernels: bindKernels(replica.module, { arena: partials }),
      buffers: buffers.map((name) => partials.region(name)),
    });
    const trainer = await engine.trainer(shape);
    const setup = { partials: partials.share(), nodes, graph: trainer.graph };
    return new ShardTrainer({ dataset, trainer, accumulator, seed: config.seed }, setup, partials, config);
  }

  /** Computes all shards of this member in ascending order; partial sums are announced as they are complete. */
  async computeStep(step: number, onPartial: OnPartial): Promise<ShardLoss[]> {
    const { dataset, trainer, accumulator, seed } = this.parts;
    const losses: ShardLoss[] = [];
    accumulator.begin();
    for (const shard of accumulator.leaves) {
      dataset.trainBatch({ step, shard }, this.#batch);
      const loss = await trainer.gradients(this.#batch, accumulator.leafBuffer(), { seed, step, shard });
      losses.push({ shard, loss });
      const partial = accumulator.complete();
      if (partial !== null) onPartial(partial.node, partial.region.byteOffset);
    }
    return losses;
  }
}
