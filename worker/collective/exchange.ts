import type { ReductionTree } from "../../shared/reduction_tree.ts";
import { addHash, type BlockHash, hashHex } from "../kernels/block_hash.ts";
import { ATOM, gradientNorm } from "../optimizer/clip.ts";
import type { Part } from "./buckets.ts";
import type { Reduced, StepKey } from "./collective.ts";
import { encodeHeader, HEADER_BYTES, type Phase, type ReductionKey } from "./codec.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import { type DroppedFrames, Inbox } from "./inbox.ts";
import type { Bytes, LinkInterest, Links } from "./link.ts";
import { Outbox } from "./outbox.ts";
import { type ExchangeMemory, type Place, Places } from "./places.ts";

/** What an exchange works with. */
export interface ExchangeOptions extends ExchangeMemory {
  plan: ExchangePlan;
  /** The links to all other members; empty for a single member. */
  links: Links;
  /** 16 bytes that name this generation of members: what carries others is dropped. */
  nonce: Uint8Array;
  generation: number;
}

/**
 * The all-reduce of one generation, as seen by one member. It never blocks: `pump` does what can be done now.
 *
 * Segment j of the flat gradient belongs to member j. All others send it their partial sums for j; it adds them along
 * the tree, divides by the number of shards, and sends the result and the square sums of its atoms to all. Own partial
 * sums are only read. The tree is fixed, and so is every bit of the result, whoever the members are.
 */
export class Exchange {
  readonly #plan: ExchangePlan;
  readonly #tree: ReductionTree;
  readonly #places: Places;
  readonly #inbox: Inbox;
  readonly #outboxes = new Map<number, Outbox>();
  readonly #gradHash: BlockHash = new Uint32Array(4);
  readonly #frameHash: BlockHash = new Uint32Array(4);
  readonly #squares: Float64Array;
  /** Byte offsets of own partial sums, by tree node. */
  readonly #own = new Map<number, number>();
  /** Frames of own partial sums that are still to be added to the own segment. */
  readonly #unadded: { node: number; frame: number }[] = [];
  /** Which sums are there: element node · frames + frame, for the frames of the own segment. */
  readonly #present: Uint8Array;
  /** By rank: frames that are still to come from that member. */
  readonly #owed = new Map<number, number>();
  /** Frames of the own segment whose result is still to be made. */
  #unfinished = 0;
  #key: ReductionKey = { generation: 0, step: 0, attempt: 0 };

  constructor(private readonly options: ExchangeOptions) {
    const { plan, links, squares, nonce } = options;
    this.#plan = plan;
    this.#tree = plan.shape.tree;
    this.#places = new Places(plan, options);
    this.#inbox = new Inbox({ plan, places: this.#places, nonce });
    for (const [peer, link] of links.byRank) this.#outboxes.set(peer, new Outbox(link));
    this.#present = new Uint8Array(this.#tree.nodes.length * this.#ownFrames.length);
    const { buffer, byteOffset } = squares.view;
    this.#squares = new Float64Array(buffer, byteOffset, plan.squaresLength / 2);
  }

  /** Starts the reduction of a step. Frames of the peers may be waiting already. */
  begin({ step, attempt }: StepKey): void {
    const { segments, frames, shape } = this.#plan;
    this.abort();
    this.#key = { generation: this.options.generation, step, attempt };
    this.#inbox.begin(this.#key);
    this.#present.fill(0);
    this.#gradHash.fill(0);
    this.#unfinished = this.#ownFrames.length;
    for (const peer of this.#outboxes.keys()) {
      const partials = shape.nodes[peer].length * this.#ownFrames.length;
      const squares = segments[peer].length > 0 ? 1 : 0;
      const owed = partials + frames[peer].length + squares;
      if (owed > 0) this.#owed.set(peer, owed);
    }
  }

  /** The own partial sum of tree node `node` is complete, at a byte offset of its arena; it stays there until COMMIT. */
  announce(node: number, byteOffset: number): void {
    this.#own.set(node, byteOffset);
    this.#ownFrames.forEach((_, frame) => this.#unadded.push({ node, frame }));
    for (const [peer, outbox] of this.#outboxes) {
      for (const part of this.#plan.frames[peer]) {
        this.#enqueue(outbox, {
          phase: "partial",
          bucket: node,
          place: this.#places.partial(byteOffset, part),
        });
      }
    }
  }

  /** Forgets the reduction under way. Afterwards nothing refers to the arenas. */
  abort(): void {
    this.#own.clear();
    this.#unadded.length = 0;
    for (const outbox of this.#outboxes.values()) outbox.clear();
    this.#owed.clear();
    this.#unfinished = 0;
  }

  /** True when the result is complete and all that the others need has been handed over. */
  get done(): boolean {
    const { from, to } = this.interest;
    return this.#unfinished === 0 && from.length === 0 && to.length === 0;
  }

  /** Who still owes frames, and for whom frames are waiting. */
  get interest(): LinkInterest {
    const from = [...this.#owed.keys()];
    const to = [...this.#outboxes].filter(([, outbox]) => !outbox.isEmpty).map(([peer]) => peer);
    return { from, to };
  }

  /** Of the reduction that is `done`. */
  get result(): Reduced {
    return { gradHash: hashHex(this.#gradHash), gradNorm: gradientNorm(this.#squares) };
  }

  /** Frames that were not taken, since the exchange was made. */
  get dropped(): DroppedFrames {
    return this.#inbox.dropped;
  }

  /**
   * Adds, receives and sends a little of what is possible now; false if nothing was. Throws E_CRC, E_SHORT, E_DECODE or
   * E_STALE for a frame that must not be, naming rank and step: then the reduction is to be aborted.
   */
  pump(): boolean {
    let worked = this.#addOwn();
    // What comes from a member that owes nothing belongs to the next step, and waits for its begin.
    for (const peer of this.#owed.keys()) worked = this.#receive(peer) || worked;
    for (const outbox of this.#outboxes.values()) worked = outbox.sendOne() || worked;
    return worked;
  }

  get #ownFrames(): readonly Part[] {
    return this.#plan.frames[this.#plan.shape.rank];
  }

  #receive(peer: number): boolean {
    const link = this.options.links.byRank.get(peer);
    const frame = link === undefined ? null : this.#inbox.take(peer, link);
    if (frame === null) return false;
    if (frame === "dropped") return true;
    if (frame.phase === "partial") this.#arrive(frame.bucket, frame.frame);
    if (frame.phase === "result") addHash(this.#gradHash, frame.hash);
    const owed = (this.#owed.get(peer) ?? 0) - 1;
    if (owed > 0) this.#owed.set(peer, owed);
    else this.#owed.delete(peer);
    return true;
  }

  #addOwn(): boolean {
    const next = this.#unadded.shift();
    if (next === undefined) return false;
    this.#arrive(next.node, next.frame);
    return true;
  }

  /** The sum of `node` is there for a frame of the own segment: adds it to its sibling, if that is there, and so on. */
  #arrive(node: number, frame: number): void {
    const frames = this.#ownFrames;
    this.#present[node * frames.length + frame] = 1;
    const { parent } = this.#tree.nodes[node];
    if (parent < 0) return this.#finish(frames[frame]);
    if (this.#present[this.#tree.sibling(node) * frames.length + frame] === 0) return;
    const { left, right } = this.#tree.nodes[parent];
    const { start, length } = frames[frame];
    const at = (sum: number) => this.#baseOf(sum) + 4 * start;
    this.options.kernels.add(at(parent), at(left), at(right), length);
    this.#arrive(parent, frame);
  }

  #baseOf(node: number): number {
    return this.#own.get(node) ?? this.#places.scratchBase(node);
  }

  /** The whole sum of a frame is there. */
  #finish(part: Part): void {
    const { kernels, resultKernels, reduced } = this.options;
    const to = reduced.byteOffset + 4 * part.start;
    kernels.divide(to, this.#baseOf(0) + 4 * part.start, part.length, this.#tree.leafCount);
    for (let at = 0; at < part.length; at += ATOM) {
      const length = Math.min(ATOM, part.length - at);
      this.#squares[(part.start + at) / ATOM] = resultKernels.squares(to + 4 * at, length);
    }
    const place = this.#places.result(part);
    const hash = new Uint32Array(4);
    place.hash(hash);
    addHash(this.#gradHash, hash);
    this.#unfinished--;
    for (const outbox of this.#outboxes.values()) {
      this.#enqueue(outbox, { phase: "result", bucket: 0, place, hash });
      if (this.#unfinished > 0) continue;
      this.#enqueue(outbox, {
        phase: "squares",
        bucket: 0,
        place: this.#places.squares(this.#plan.shape.rank),
      });
    }
  }

  #enqueue(outbox: Outbox, { phase, bucket, place, hash }: OutgoingFrame): void {
    outbox.push(place.bytes, () => {
      if (hash === undefined) place.hash(this.#frameHash);
      const header: Bytes = new Uint8Array(HEADER_BYTES);
      encodeHeader({
        ...this.#key,
        nonce: this.options.nonce,
        phase,
        sender: this.#plan.shape.rank,
        bucket,
        offset: place.offset,
        length: place.bytes.length,
        hash: hash ?? this.#frameHash,
      }, header);
      return header;
    });
  }
}

interface OutgoingFrame {
  phase: Phase;
  bucket: number;
  place: Place;
  /** If it is known already. */
  hash?: BlockHash;
}
