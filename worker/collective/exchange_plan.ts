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

  /** Throws E_DECODE if a leaf is dealt to no member or to several. */
  constructor(readonly shape: ExchangeShape) {
    const { tree, nodes, elements } = shape;
    this.sendsResults = elements > HASH_BLOCK;
    const everything = { start: 0, length: elements };
    this.segments = this.sendsResults ? segmentsOf(elements, nodes.length) : nodes.map(() => everything);
    this.frames = this.segments.map((segment) => framesOf(segment, shape.frameElements ?? FRAME_ELEMENTS));
    this.owners = new Map(nodes.flatMap((own, rank) => own.map((node) => [node, rank])));
    checkCover(tree, nodes);
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
    assign(0);
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
    return `rank ${rank} finishes ${start}..${start + length}: ${describe(0)}`;
  }
}

function checkCover(tree: ReductionTree, nodes: readonly (readonly number[])[]): void {
  const dealt = new Array<number>(tree.leafCount).fill(0);
  for (const node of nodes.flat()) {
    const { first, count } = tree.nodes[node];
    for (let leaf = first; leaf < first + count; leaf++) dealt[leaf]++;
  }
  const wrong = dealt.findIndex((times) => times !== 1);
  if (wrong < 0) return;
  throw new LockstepError(
    "E_DECODE",
    `Cannot add up a step's gradients as each virtual shard must be dealt once: shard ${wrong} is dealt ${
      dealt[wrong]
    } times`,
  );
}
