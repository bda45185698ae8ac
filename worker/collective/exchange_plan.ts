import { LockstepError } from "../../shared/errors.ts";
import type { ReductionTree } from "../../shared/reduction_tree.ts";
import { ATOM } from "../optimizer/clip.ts";
import { HASH_BLOCK } from "../kernels/block_hash.ts";
import { FRAME_ELEMENTS, framesOf, type Part, segmentsOf } from "./buckets.ts";

/** Who holds which partial sums of which gradient. */
export interface ExchangeShape {
  tree: ReductionTree;
  /** By rank: the tree nodes whose sums that member brings. Together they cover each leaf once. */
  nodes: readonly (readonly number[])[];
  rank: number;
  /** Numbers of the flat gradient. */
  elements: number;
  /** The largest frame, a multiple of 16,384 numbers; 65,536 (256 KiB) if not given. */
  frameElements?: number;
  /** Where this is only a part of the whole exchange; see planExchanges. */
  level?: Level;
}

/** An exchange among some members, of which each that is a holder finishes a segment of a part of the gradient. */
export interface Level {
  /** Their ranks, and those of them that get segments. */
  readonly members: readonly number[];
  readonly holders: readonly number[];
  /** The tree nodes whose sums it ends with: the root alone, or what these members can add among themselves. */
  readonly roots: readonly number[];
  /** Whether the sum is that of all, to be divided; if not, others go on with the sums. */
  readonly finishes: boolean;
  readonly part: Part;
}

/**
 * Who sends what to whom, seen by one member: it finishes its own segment of the gradient, so it receives everybody
 * else's partial sums there, adds them along the tree, and sends the result to all.
 *
 * A gradient of one hash block at most is a segment of every member: each receives all partial sums and finishes the
 * whole by itself, which gives the same bits after one message instead of two in a row.
 */
export class ExchangePlan {
  /** Whether results are sent to the others; if not, all members have the same segment. */
  readonly sendsResults: boolean;
  readonly segments: readonly Part[];
  /** By rank: the frames of that member's segment. */
  readonly frames: readonly (readonly Part[])[];
  /** By tree node: the rank that brings its sum. */
  readonly owners: ReadonlyMap<number, number>;
  /** By tree node: which slot of the scratch holds its sum. Own partial sums have none: they stay where they are. */
  readonly slots: ReadonlyMap<number, number>;
  /** Slots of one segment each. */
  readonly slotCount: number;

  readonly level: Level;

  /** Throws E_DECODE if a leaf is dealt to no member or to several. */
  constructor(readonly shape: ExchangeShape) {
    const { tree, nodes, elements } = shape;
    const ranks = [...nodes.keys()];
    const whole: Part = { start: 0, length: elements };
    this.level = shape.level ?? { members: ranks, holders: ranks, roots: [0], finishes: true, part: whole };
    this.sendsResults = shape.level !== undefined || elements > HASH_BLOCK;
    this.segments = this.sendsResults ? segmentsOfHolders(this.level, ranks) : nodes.map(() => whole);
    this.frames = this.segments.map((segment) => framesOf(segment, shape.frameElements ?? FRAME_ELEMENTS));
    this.owners = new Map(nodes.flatMap((own, rank) => own.map((node) => [node, rank])));
    checkCover(tree, { roots: this.level.roots, nodes: nodes.flat() });
    const slots = new Map<number, number>();
    let next = 0;
    const assign = (node: number): void => {
      const owner = this.owners.get(node);
      if (owner === shape.rank) return;
      if (owner !== undefined) return void slots.set(node, next++);
      const { left, right } = tree.nodes[node];
      assign(left);
      assign(right);
      slots.set(node, slots.get(left) ?? slots.get(right) ?? next++);
    };
    for (const root of this.level.roots) assign(root);
    this.slots = slots;
    this.slotCount = next;
  }

  /** This member's segment. */
  get segment(): Part {
    return this.segments[this.shape.rank];
  }

  /** float32 numbers of scratch that this member needs. */
  get scratchLength(): number {
    return this.slotCount * this.segment.length;
  }

  /** float32 numbers of the region that holds the atoms' square sums, which are float64. */
  get squaresLength(): number {
    return 2 * Math.ceil(this.shape.elements / ATOM);
  }

  /** The plan as text: this member's segment, and what happens there. */
  print(): string {
    const { tree, rank } = this.shape;
    const { start, length } = this.segment;
    const describe = (node: number): string => {
      const owner = this.owners.get(node);
      if (owner === rank) return `own ${tree.print(node)}`;
      if (owner !== undefined) return `${tree.print(node)} from ${owner} in #${this.slots.get(node)}`;
      const { left, right } = tree.nodes[node];
      return `[${describe(left)} + ${describe(right)}] in #${this.slots.get(node)}`;
    };
    const what = this.level.roots.map(describe).join(", ");
    return `rank ${rank} ${this.level.finishes ? "finishes" : "adds up"} ${start}..${
      start + length
    }: ${what}`;
  }
}

function segmentsOfHolders({ holders, part }: Level, ranks: readonly number[]): Part[] {
  const cut = segmentsOf(part, holders.length);
  return ranks.map((rank) => cut[holders.indexOf(rank)] ?? { start: part.start, length: 0 });
}

function checkCover(
  tree: ReductionTree,
  { roots, nodes }: { roots: readonly number[]; nodes: readonly number[] },
): void {
  const dealt = new Map<number, number>();
  const leavesOf = (node: number) => {
    const { first, count } = tree.nodes[node];
    return Array.from({ length: count }, (_, i) => first + i);
  };
  for (const leaf of nodes.flatMap(leavesOf)) dealt.set(leaf, (dealt.get(leaf) ?? 0) + 1);
  const wrong = roots.flatMap(leavesOf).find((leaf) => dealt.get(leaf) !== 1);
  if (wrong === undefined) return;
  throw new LockstepError(
    "E_DECODE",
    `Cannot add up a step's gradients as each virtual shard must be dealt once: shard ${wrong} is dealt ${
      dealt.get(wrong) ?? 0
    } times`,
  );
}
