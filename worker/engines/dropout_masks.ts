import { CounterRandom } from "../../shared/random.ts";
import { Arena } from "../arena.ts";
import { type Kernels, loadKernels } from "../kernels/kernels.ts";
import type { DropoutSite } from "../model/programs.ts";
import type { DropoutKey } from "./engine.ts";

/** The part of a micro-batch that a computation sees: rows `firstRow` … of `batchSize`. */
export interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
  readonly batchSize: number;
}

/**
 * The dropout masks of one computation, in memory that engines read in place. An element depends on (seed, step,
 * virtual shard, site, place in the whole micro-batch) only: slices, engines and workers do not change it.
 */
export class DropoutMasks {
  private constructor(
    private readonly sites: readonly DropoutSite[],
    private readonly arena: Arena<string>,
    private readonly kernels: Kernels,
    private readonly probability: number,
  ) {}

  static async create(sites: readonly DropoutSite[], probability: number): Promise<DropoutMasks> {
    const sizes = sites.map(({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)]);
    const arena = Arena.create(Object.fromEntries(sizes));
    return new DropoutMasks(sites, arena, await loadKernels(arena), probability);
  }

  /** The numbers of a site, filled by {@link fill}. */
  view(site: DropoutSite): Float32Array<ArrayBuffer> {
    return this.arena.region(site.name).view;
  }

  /** Makes the masks of some rows of a micro-batch: 0 with the probability p, otherwise 1 / (1 − p). */
  fill({ seed, step, shard }: DropoutKey, { firstRow, rows, batchSize }: RowRange): void {
    const threshold = Math.round(this.probability * 2 ** 32);
    const scale = 1 / (1 - this.probability);
    this.sites.forEach(({ name, outer, inner }, site) => {
      const { byteOffset } = this.arena.region(name);
      const key = CounterRandom.fromSeed(seed, "dropout", step, shard, site);
      const [key0, key1] = [key.uint32(0), key.uint32(1)];
      for (let o = 0; o < outer; o++) {
        const first = (o * batchSize + firstRow) * inner;
        const [low, high] = [first >>> 0, Math.floor(first / 2 ** 32)];
        this.kernels.dropoutMask(
          byteOffset + 4 * o * rows * inner,
          rows * inner,
          key0,
          key1,
          low,
          high,
          threshold,
          scale,
        );
      }
    });
  }
}
