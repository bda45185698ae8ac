import { ReductionTree } from "../shared/reduction_tree.ts";

/**
 * Deals the virtual shards 0 … shardCount − 1 to members: member r computes the shards `plan[r]`. Members' loads differ
 * by at most one; each gets neighbouring shards, and of all such deals the one is taken whose members have the fewest
 * partial sums to send (see ReductionTree.maximalSubtrees), the heavier members first where that does not matter.
 * Members beyond the shards get none.
 */
export function dealShards(shardCount: number, memberCount: number): number[][] {
  const tree = new ReductionTree(shardCount);
  const light = Math.floor(shardCount / memberCount);
  const heavyMembers = shardCount % memberCount;
  const sizes = lightestCuts({ tree, light, heavyMembers, memberCount });
  let next = 0;
  return sizes.map((size) => Array.from({ length: size }, () => next++));
}

interface Deal {
  tree: ReductionTree;
  /** Shards of a light member; a heavy one has one more. */
  light: number;
  heavyMembers: number;
  memberCount: number;
}

/** The members' loads, by dynamic programming over (members served, heavy ones among them). */
function lightestCuts({ tree, light, heavyMembers, memberCount }: Deal): number[] {
  const partials = (first: number, size: number) =>
    tree.maximalSubtrees(Array.from({ length: size }, (_, i) => first + i)).length;
  let best = new Map([[0, { cost: 0, sizes: new Array<number>() }]]);
  for (let member = 0; member < memberCount; member++) {
    const extended: typeof best = new Map();
    for (const [heavy, { cost, sizes }] of best) {
      const first = member * light + heavy;
      for (const extra of [1, 0]) {
        const total = heavy + extra;
        if (total > heavyMembers || heavyMembers - total > memberCount - member - 1) continue;
        const sum = cost + partials(first, light + extra);
        const known = extended.get(total);
        if (known === undefined || sum < known.cost) {
          extended.set(total, { cost: sum, sizes: [...sizes, light + extra] });
        }
      }
    }
    best = extended;
  }
  return best.get(heavyMembers)?.sizes ?? [];
}
