import type { Reduced } from "../../../worker/collective/collective.ts";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { Arena, type Region } from "../../../worker/arena.ts";
import { Accumulator } from "../../../worker/collective/accumulator.ts";
import type { Exchanging } from "../../../worker/collective/exchange.ts";
import { makeExchange } from "../../../worker/collective/grouped_exchange.ts";
import type { Links } from "../../../worker/collective/link.ts";
import { memoryLinks } from "../../../worker/collective/memory_links.ts";
import { planExchanges, scratchLength } from "../../../worker/collective/plan_exchanges.ts";
import { loadKernels } from "../../../worker/kernels/kernels.ts";

/** The largest gradient, world and tree of these tests. */
export const MAX = { elements: 70_000, members: 8, shards: 16 };

const arena = Arena.create({ memory: 16 << 20 });
export const kernels = await loadKernels(arena);

/** Hands out pieces of the one arena; `reset` takes all of them back. */
let used = 0;
export function allocate(length: number): Region {
  const { byteOffset, address, view } = arena.region("memory");
  const start = used;
  used += Math.ceil(length / 16) * 16;
  if (used > view.length) throw new RangeError("the tests' arena is too small");
  return {
    byteOffset: byteOffset + 4 * start,
    length,
    address: address + BigInt(4 * start),
    view: view.subarray(start, start + length).fill(NaN),
  };
}

/** One member of a world in one thread, with all that a worker has for adding gradients. */
export interface Member {
  exchange: Exchanging;
  accumulator: Accumulator;
  reduced: Region;
  squares: Region;
}

export interface World {
  tree: ReductionTree;
  members: Member[];
  links: Links[];
}

/** A world of members over queues in memory; `deal[r]` are the shards of member r. */
export function makeWorld(
  deal: readonly (readonly number[])[],
  { elements, nonce = new Uint8Array(16).fill(7), wrap = (links: Links) => links }: {
    elements: number;
    nonce?: Uint8Array;
    wrap?: (links: Links, rank: number) => Links;
  },
): World {
  used = 0;
  const tree = new ReductionTree(deal.flat().length);
  const nodes = deal.map((leaves) => tree.maximalSubtrees(leaves));
  const links = memoryLinks(deal.length).map(wrap);
  const members = deal.map((leaves, rank) => {
    const plans = planExchanges({ tree, nodes, rank, elements, frameElements: 16_384 });
    const buffers = Array.from({ length: Accumulator.bufferCount(tree, leaves) }, () => allocate(elements));
    const lengths = [scratchLength(plans), elements, plans[0].squaresLength];
    const [scratch, reduced, squares] = lengths.map(allocate);
    return {
      exchange: makeExchange(plans, {
        links: links[rank],
        nonce,
        generation: 1,
        kernels,
        resultKernels: kernels,
        scratch,
        reduced,
        squares,
      }),
      accumulator: new Accumulator({ tree, leaves, kernels, buffers }),
      reduced,
      squares,
    };
  });
  return { tree, members, links };
}

/** Shard v's gradient at element i: numbers of very different sizes, so that every order of adding shows. */
export function gradientAt(shard: number, i: number): number {
  return Math.fround(Math.sin(i * 0.37 + shard * 1.3) * 10 ** ((i + 3 * shard) % 7 - 3));
}

/** What the reduction must give: float32 sums along the tree, divided by the shards. */
export function expectedGradient(tree: ReductionTree, elements: number): Float32Array {
  const sum = (node: number, i: number): number => {
    const { first, left, right } = tree.nodes[node];
    return left < 0 ? gradientAt(first, i) : Math.fround(sum(left, i) + sum(right, i));
  };
  return Float32Array.from({ length: elements }, (_, i) => sum(0, i) / tree.leafCount);
}

let nextStep = 0;

/** Computes a member's shards one after the other, calling `between` after each. */
export function computeShards({ accumulator, exchange }: Member, between: () => void = () => {}): void {
  accumulator.begin(nextStep++);
  for (const shard of accumulator.leaves) {
    const { view } = accumulator.leafBuffer();
    view.forEach((_, i) => view[i] = gradientAt(shard, i));
    const partial = accumulator.complete();
    if (partial !== null) exchange.announce(partial.node, partial.region.byteOffset);
    between();
  }
}

/** Pumps the members, in the order that `choose` makes up, until all are done. */
export function pumpAll(members: readonly Member[], choose: (n: number) => number = () => 0): void {
  for (let idle = 0; members.some(({ exchange }) => !exchange.done);) {
    const start = choose(members.length);
    const worked = members.filter((_, i) => members[(start + i) % members.length].exchange.pump());
    idle = worked.length > 0 ? 0 : idle + 1;
    if (idle > 2) throw new Error("the members wait for each other");
  }
}

/** What a reduction gives whatever the members are; how the gradient is cut depends on them. */
export function sumOf(reduced: Reduced | null): Omit<Reduced, "bucketHashes"> | null {
  return reduced === null ? null : { gradHash: reduced.gradHash, gradNorm: reduced.gradNorm };
}
