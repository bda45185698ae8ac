import type { Region } from "../arena.ts";
import { type BlockHash, HASH_BLOCK, type HashedPart, hashPart } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { ATOM } from "../optimizer/clip.ts";
import type { Part } from "./buckets.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Bytes } from "./link.ts";

/** Numbers in an arena that one frame carries, at the sender or at the receiver. */
export class Place implements HashedPart {
  /** Where they start in their arena. */
  readonly byteOffset: number;
  /** How many they are. */
  readonly length: number;
  /** The number of the first block for their hash. */
  readonly firstBlock: number;

  /** The `offset` of a frame's header. */
  readonly offset: number;
  readonly #kernels: Kernels;

  /** In an arena's `buffer`, to which the kernels are bound. */
  constructor(private readonly buffer: ArrayBuffer, at: HashedPart & { kernels: Kernels; offset: number }) {
    this.byteOffset = at.byteOffset;
    this.length = at.length;
    this.firstBlock = at.firstBlock;
    this.offset = at.offset;
    this.#kernels = at.kernels;
  }

  get byteLength(): number {
    return 4 * this.length;
  }

  /** The bytes themselves. */
  get bytes(): Bytes {
    return new Uint8Array(this.buffer, this.byteOffset, this.byteLength);
  }

  /** Writes their hash to `out`. */
  hash(out: BlockHash): void {
    hashPart(this.#kernels, this, out);
  }
}

/** The memory of an exchange. */
export interface ExchangeMemory {
  /** Bound to the arena of partial sums, with the state's arena for results. */
  kernels: Kernels;
  /** Bound to the state's arena. */
  resultKernels: Kernels;
  /** In the arena of partial sums: `plan.scratchLength` numbers. */
  scratch: Region;
  /** In the state's arena: the reduced gradient. */
  reduced: Region;
  /** In the state's arena: `plan.squaresLength` numbers, for float64 square sums. */
  squares: Region;
}

/** Knows where in the arenas everything is that frames carry. */
export class Places {
  constructor(private readonly plan: ExchangePlan, private readonly memory: ExchangeMemory) {}

  /** Where the sum of a tree node starts that is in the scratch, as if the whole gradient were there; a byte offset. */
  scratchBase(node: number): number {
    const slot = this.plan.slots.get(node);
    if (slot === undefined) throw new RangeError(`Cannot find the scratch of node ${node}: it has none`);
    const { start, length } = this.plan.segment;
    return this.memory.scratch.byteOffset + 4 * (slot * length - start);
  }

  /** Part of a partial sum whose gradient starts, or would start, at byte offset `base`. */
  partial(base: number, { start, length }: Part): Place {
    const { kernels, scratch } = this.memory;
    const part = { byteOffset: base + 4 * start, length, firstBlock: start / HASH_BLOCK };
    return new Place(scratch.view.buffer, { ...part, kernels, offset: start });
  }

  /** Part of the reduced gradient. */
  result({ start, length }: Part): Place {
    const { resultKernels: kernels, reduced } = this.memory;
    const part = { byteOffset: reduced.byteOffset + 4 * start, length, firstBlock: start / HASH_BLOCK };
    return new Place(reduced.view.buffer, { ...part, kernels, offset: start });
  }

  /** The square sums, two words each, of the atoms of a member's segment. */
  squares(rank: number): Place {
    const { resultKernels: kernels, squares } = this.memory;
    const { start, length } = this.plan.segments[rank];
    const offset = start / ATOM;
    const part = {
      byteOffset: squares.byteOffset + 8 * offset,
      length: 2 * Math.ceil(length / ATOM),
      firstBlock: rank,
    };
    return new Place(squares.view.buffer, { ...part, kernels, offset });
  }
}
