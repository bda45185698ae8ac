import type { ReductionTree } from "../../shared/reduction_tree.ts";
import { type Part, segmentsOf } from "./buckets.ts";
import { ExchangePlan, type ExchangeShape, type Level } from "./exchange_plan.ts";

/** At most so many members exchange with each other directly. */
export const GROUP_MEMBERS = 8;

/** A member of a level, and what it brings there. */
interface Bringing {
  readonly rank: number;
  readonly nodes: readonly number[];
}

/**
 * The exchanges in which a member takes part, the first with its neighbours. Up to eight members there is one. Beyond that
 * groups of at most eight, along the tree, add up what they have; who got the same segment in each group exchanges that
 * one likewise; and then the groups spread the results. Each member so has at most 7 peers for each eightfold of members.
 * Throws E_DECODE if a leaf is dealt to no member or to several.
 */
export function planExchanges(shape: ExchangeShape): ExchangePlan[] {
  const { nodes, elements } = shape;
  if (nodes.length <= GROUP_MEMBERS) return [new ExchangePlan(shape)];
  const members = nodes.map((own, rank) => ({ rank, nodes: own }));
  return planLevels(shape, members, { start: 0, length: elements });
}

/** float32 numbers of scratch that these exchanges of one member need together. */
export function scratchLength(plans: readonly ExchangePlan[]): number {
  return plans.reduce((sum, plan) => sum + plan.scratchLength, 0);
}

function planLevels(shape: ExchangeShape, members: readonly Bringing[], part: Part): ExchangePlan[] {
  const { tree, rank } = shape;
  const groups = cutGroups(tree, members);
  const rows = groups.map((group) => ({ group, roots: rootsOf(tree, group) }));
  const index = (group: readonly Bringing[]) => group.findIndex((member) => member.rank === rank);
  const mine = rows.find(({ group }) => index(group) >= 0);
  if (mine === undefined) throw new RangeError(`Cannot plan for rank ${rank}: it is no member`);
  const holderCount = Math.min(...groups.map((group) => group.length));
  const own = levelPlan(shape, mine.group, {
    part,
    roots: mine.roots,
    finishes: groups.length === 1,
    holderCount,
  });
  const place = index(mine.group);
  if (groups.length === 1 || place >= holderCount) return [own];
  const across = rows.map(({ group, roots }) => ({ rank: group[place].rank, nodes: roots }));
  return [own, ...planLevels(shape, across, segmentsOf(part, holderCount)[place])];
}

function levelPlan(
  { tree, nodes, rank, elements, frameElements }: ExchangeShape,
  group: readonly Bringing[],
  { holderCount, ...ends }: Pick<Level, "part" | "roots" | "finishes"> & { holderCount: number },
): ExchangePlan {
  const members = group.map((member) => member.rank);
  const brought = new Map(group.map((member) => [member.rank, member.nodes]));
  return new ExchangePlan({
    tree,
    nodes: nodes.map((_, other) => brought.get(other) ?? []),
    rank,
    elements,
    frameElements,
    level: { ...ends, members, holders: members.slice(0, holderCount) },
  });
}

/** Neighbours in the tree together, in groups as equal as possible; who brings nothing comes last. */
function cutGroups(tree: ReductionTree, members: readonly Bringing[]): Bringing[][] {
  const firstLeaf = ({ nodes }: Bringing) => Math.min(...nodes.map((node) => tree.nodes[node].first));
  const ordered = members.toSorted((a, b) => {
    const [x, y] = [firstLeaf(a), firstLeaf(b)];
    return x === y ? a.rank - b.rank : x - y;
  });
  const count = Math.ceil(ordered.length / GROUP_MEMBERS);
  const end = (group: number) => Math.ceil(ordered.length * group / count);
  return Array.from({ length: count }, (_, group) => ordered.slice(end(group), end(group + 1)));
}

/** What a group's sums are when everything is added that can be. */
function rootsOf(tree: ReductionTree, group: readonly Bringing[]): number[] {
  const leaves = group.flatMap(({ nodes }) =>
    nodes.flatMap((node) => {
      const { first, count } = tree.nodes[node];
      return Array.from({ length: count }, (_, i) => first + i);
    })
  );
  return tree.maximalSubtrees(leaves);
}
