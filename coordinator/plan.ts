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

/**
 * Deals a step again after members were lost: everybody keeps the shards of `kept`, and those that nobody has go to whoever
 * has their neighbours, or the fewest, so that only they are computed. Falls back to {@link dealShards} where keeping would
 * take more room for others' partial sums than `scratchGradients`.
 */
export function redealShards(
  shardCount: number,
  { kept, scratchGradients }: { kept: readonly (readonly number[])[]; scratchGradients: number },
): number[][] {
  const plan = kept.map((shards) => [...shards]);
  const owned = new Set(plan.flat());
  const lost = Array.from({ length: shardCount }, (_, shard) => shard).filter((shard) => !owned.has(shard));
  const share = Math.ceil(shardCount / plan.length);
  for (const shard of lost) {
    const isBeside = (shards: number[]) => shards.includes(shard - 1) || shards.includes(shard + 1);
    const [taker] = plan.filter((shards) => shards.length < share)
      .sort((a, b) => Number(isBeside(b)) - Number(isBeside(a)) || a.length - b.length);
    taker.push(shard);
  }
  for (const shards of plan) shards.sort((a, b) => a - b);
  return scratchNeeded(shardCount, plan) <= scratchGradients ? plan : dealShards(shardCount, plan.length);
}

/** Room for others' partial sums that the members of a plan need, in gradients. */
function scratchNeeded(shardCount: number, plan: readonly (readonly number[])[]): number {
  const tree = new ReductionTree(shardCount);
  const nodes = plan.map((shards) => tree.maximalSubtrees(shards).length);
  const total = nodes.reduce((sum, n) => sum + n, 0);
  return (total - Math.min(...nodes)) / plan.length;
}

/** The most room for others' partial sums, in gradients, that the plans of up to `maxMembers` members need. */
export function scratchCapacity(shardCount: number, maxMembers: number): number {
  let most = 2; // for plans after losses
  for (let members = 2; members <= maxMembers; members++) {
    most = Math.max(most, scratchNeeded(shardCount, dealShards(shardCount, members)));
  }
  return most;
}
