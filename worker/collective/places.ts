import type { Region } from "../arena.ts";
import { type BlockHash, HASH_BLOCK, hashPart } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { ATOM } from "../optimizer/clip.ts";
import type { Part } from "./buckets.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { Bytes } from "./link.ts";

/** Numbers in an arena that one frame carries, at the sender or at the receiver. */
export interface Place {
  /** The bytes themselves. */
  readonly bytes: Bytes;
  /** Where they start in their arena. */
  readonly byteOffset: number;
  /** The number of the first block for their hash. */
  readonly firstBlock: number;
  /** The `offset` of a frame's header. */
  readonly offset: number;
  /** Writes their hash to `out`. */
  hash(out: BlockHash): void;
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
  partial(base: number, part: Part): Place {
    const { kernels, scratch } = this.memory;
    return numbers(kernels, { buffer: scratch.view.buffer, byteOffset: base + 4 * part.start, part });
  }

  /** Part of the reduced gradient. */
  result(part: Part): Place {
    const { resultKernels, reduced } = this.memory;
    return numbers(resultKernels, {
      buffer: reduced.view.buffer,
      byteOffset: reduced.byteOffset + 4 * part.start,
      part,
    });
  }

  /** The square sums of the atoms of a member's segment. */
  squares(rank: number): Place {
    const { resultKernels, squares } = this.memory;
    const { start, length } = this.plan.segments[rank];
    const offset = start / ATOM;
    const byteOffset = squares.byteOffset + 8 * offset;
    const words = 2 * Math.ceil(length / ATOM);
    return {
      bytes: new Uint8Array(squares.view.buffer, byteOffset, 4 * words),
      byteOffset,
      firstBlock: rank,
      offset,
      hash: (out) => hashPart(resultKernels, { byteOffset, length: words, firstBlock: rank }, out),
    };
  }
}

function numbers(
  kernels: Kernels,
  { buffer, byteOffset, part }: { buffer: ArrayBuffer; byteOffset: number; part: Part },
): Place {
  const { start, length } = part;
  return {
    bytes: new Uint8Array(buffer, byteOffset, 4 * length),
    byteOffset,
    firstBlock: start / HASH_BLOCK,
    offset: start,
    hash: (out) => hashPart(kernels, { byteOffset, length, firstBlock: start / HASH_BLOCK }, out),
  };
}
