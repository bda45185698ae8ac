import type { Spans } from "../../shared/spans.ts";
import { addHash, type BlockHash, hashHex } from "../kernels/block_hash.ts";
import { ATOM, gradientNorm } from "../optimizer/clip.ts";
import type { Part } from "./buckets.ts";
import type { Reduced, StepKey } from "./collective.ts";
import type { ReductionKey } from "./codec.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import { type DroppedFrames, Inbox } from "./inbox.ts";
import type { LinkInterest, Links } from "./link.ts";
import { Outbox } from "./outbox.ts";
import { type ExchangeMemory, Places } from "./places.ts";
import { SegmentSums } from "./segment_sums.ts";

/** What an exchange works with. */
export interface ExchangeOptions extends ExchangeMemory {
  plan: ExchangePlan;
  /** The links to all other members; empty for a single member. */
  links: Links;
  /** 16 bytes that name this generation of members: what carries others is dropped. */
  nonce: Uint8Array;
  generation: number;
}

/** What a reduction is driven by: an exchange, or several that make up one. */
export interface Exchanging {
  /** Starts the reduction of a step. Frames of the peers may be waiting already. `spans` takes what each bucket took. */
  begin(key: StepKey, spans?: Spans): void;
  /** The own partial sum of tree node `node` is complete, at a byte offset of its arena; it stays there until COMMIT. */
  announce(node: number, byteOffset: number): void;
  /** Forgets the reduction under way. Afterwards nothing refers to the arenas. */
  abort(): void;
  /**
   * Adds, receives and sends a little of what is possible now; false if nothing was. Throws E_CRC, E_SHORT, E_DECODE or
   * E_STALE for a frame that must not be, naming rank and step: then the reduction is to be aborted.
   */
  pump(): boolean;
  /** True when the result is complete and all that the others need has been handed over. */
  readonly done: boolean;
  /** Who still owes frames, and for whom frames are waiting. */
  readonly interest: LinkInterest;
  /** Whether only peers are waited for. */
  readonly isAnnounced: boolean;
  /** Of the reduction that is `done`. */
  readonly result: Reduced;
  /** Frames that were not taken, since the exchange was made. */
  readonly dropped: DroppedFrames;
}

/**
 * The all-reduce of one generation, as seen by one member. It never blocks: `pump` does what can be done now.
 *
 * Segment j of the flat gradient belongs to member j. All others send it their partial sums for j; it adds them along
 * the tree, divides by the number of shards, and sends the result and the square sums of its atoms to all. Own partial
 * sums are only read. The tree is fixed, and so is every bit of the result, whoever the members are.
 */
export class Exchange implements Exchanging {
  readonly #plan: ExchangePlan;
  readonly #places: Places;
  readonly #inbox: Inbox;
  readonly #sums: SegmentSums;
  readonly #outboxes = new Map<number, Outbox>();
  /** By rank: the hash of the results of its segment. */
  readonly #hashes: readonly BlockHash[];
  readonly #squares: Float64Array;
  /** Frames of own partial sums that are still to be added to the own segment. */
  readonly #unadded: number[] = [];
  /** By rank: frames that are still to come from that member. */
  readonly #owed = new Map<number, number>();
  /** Own partial sums that are not announced yet. */
  #unannounced = 0;
  /** Frames of the own segment whose result is still to be made. */
  #unfinished = 0;
  #spans: Spans | undefined;
  #announcedAt = 0;

  constructor(private readonly options: ExchangeOptions) {
    const { plan, links, squares, nonce } = options;
    this.#plan = plan;
    this.#places = new Places(plan, options);
    this.#hashes = plan.segments.map(() => new Uint32Array(4));
    this.#inbox = new Inbox({ plan, places: this.#places, nonce });
    this.#sums = new SegmentSums({ ...options, places: this.#places, inbox: this.#inbox });
    for (const [peer, link] of links.byRank) {
      if (!plan.level.members.includes(peer)) continue;
      this.#outboxes.set(peer, new Outbox(link, { rank: plan.shape.rank, nonce }));
    }
    const { buffer, byteOffset } = squares.view;
    this.#squares = new Float64Array(buffer, byteOffset, plan.squaresLength / 2);
  }

  begin({ step, attempt }: StepKey, spans?: Spans): void {
    const { segments, frames, owners, shape, sendsResults } = this.#plan;
    this.abort();
    this.#spans = spans;
    this.#announcedAt = 0;
    const key: ReductionKey = { generation: this.options.generation, step, attempt };
    this.#inbox.begin(key);
    for (const hash of this.#hashes) hash.fill(0);
    this.#unfinished = owners.size === 0 ? 0 : this.#ownFrames.length;
    this.#unannounced = shape.nodes[shape.rank].length;
    for (const [peer, outbox] of this.#outboxes) {
      outbox.begin(key);
      const partials = shape.nodes[peer].length * this.#ownFrames.length;
      const results = sendsResults && segments[peer].length > 0 ? frames[peer].length + 1 : 0;
      const owed = partials + results;
      if (owed > 0) this.#owed.set(peer, owed);
    }
  }

  announce(node: number, byteOffset: number): void {
    this.#sums.setOwn(node, byteOffset);
    this.#announcedAt ||= performance.now();
    this.#unannounced--;
    this.#ownFrames.forEach((_, frame) => this.#unadded.push(frame));
    for (const [peer, outbox] of this.#outboxes) {
      for (const part of this.#plan.frames[peer]) {
        outbox.push({
          phase: "partial",
          bucket: node,
          place: this.#places.partial(byteOffset, part),
        });
      }
    }
  }

  abort(): void {
    this.#sums.begin();
    this.#unadded.length = 0;
    for (const outbox of this.#outboxes.values()) outbox.clear();
    this.#owed.clear();
    this.#unfinished = 0;
  }

  get done(): boolean {
    if (this.#unfinished > 0 || this.#owed.size > 0) return false;
    for (const outbox of this.#outboxes.values()) if (!outbox.isEmpty) return false;
    return true;
  }

  get interest(): LinkInterest {
    const from = [...this.#owed.keys()];
    const to = [...this.#outboxes].filter(([, outbox]) => !outbox.isEmpty).map(([peer]) => peer);
    return { from, to };
  }

  get isAnnounced(): boolean {
    return this.#unannounced === 0;
  }

  /** Of all results that this member has. */
  get gradHash(): BlockHash {
    const total: BlockHash = new Uint32Array(4);
    for (const hash of this.#hashes) addHash(total, hash);
    return total;
  }

  get result(): Reduced {
    const { sendsResults, level: { holders } } = this.#plan;
    const gradHash = hashHex(this.gradHash);
    const bucketHashes = sendsResults
      ? holders.map((rank) => hashHex(this.#hashes[rank])).join("")
      : gradHash;
    return { gradHash, bucketHashes, gradNorm: gradientNorm(this.#squares) };
  }

  get dropped(): DroppedFrames {
    return this.#inbox.dropped;
  }

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
    const frames = link === undefined ? null : this.#inbox.take(peer, link);
    if (frames === null) return false;
    for (const frame of frames) {
      if (frame.phase === "partial" && this.#sums.addReceived(frame)) this.#finish(frame.frame);
      if (frame.phase === "result") addHash(this.#hashes[peer], frame.hash);
    }
    const owed = (this.#owed.get(peer) ?? 0) - frames.length;
    if (owed > 0) this.#owed.set(peer, owed);
    else this.#endOwed(peer);
    return true;
  }

  /** All has come of a peer, the results of its bucket last. */
  #endOwed(peer: number): void {
    this.#owed.delete(peer);
    if (this.#plan.sendsResults) this.#endBucket(peer);
  }

  #endBucket(owner: number): void {
    this.#spans?.add(`bucket ${owner}`, this.#announcedAt || performance.now(), { lane: `bucket ${owner}` });
  }

  #addOwn(): boolean {
    const next = this.#unadded.shift();
    if (next === undefined) return false;
    if (this.#sums.addOwn(next)) this.#finish(next);
    return true;
  }

  /** The whole sum of a frame is there. */
  #finish(frame: number): void {
    const { resultKernels, reduced } = this.options;
    const part = this.#ownFrames[frame];
    if (!this.#plan.level.finishes) {
      this.#sums.addUp(frame);
      this.#unfinished--;
      return;
    }
    const to = reduced.byteOffset + 4 * part.start;
    const hash = new Uint32Array(4);
    this.#sums.finish(frame, { to, out: hash });
    addHash(this.#hashes[this.#plan.shape.rank], hash);
    for (let at = 0; at < part.length; at += ATOM) {
      const length = Math.min(ATOM, part.length - at);
      this.#squares[(part.start + at) / ATOM] = resultKernels.squares(to + 4 * at, length);
    }
    this.#unfinished--;
    if (this.#unfinished === 0) this.#endBucket(this.#plan.shape.rank);
    if (!this.#plan.sendsResults) return;
    this.#sendResult(part, hash);
    if (this.#unfinished === 0) this.#sendSquares();
  }

  /** Byte offsets of the sums of the own segment, by tree node, once all are there; null before, and where they are finished. */
  get sums(): ReadonlyMap<number, number> | null {
    if (this.#plan.level.finishes || this.#unfinished > 0 || !this.isAnnounced) return null;
    return new Map(this.#plan.level.roots.map((root) => [root, this.#sums.rootBase(root)]));
  }

  /** The results of the own segment are there, and hash to `hash`: sends them. */
  publish(hash: BlockHash): void {
    addHash(this.#hashes[this.#plan.shape.rank], hash);
    if (this.#ownFrames.length === 0) return;
    for (const part of this.#ownFrames) this.#sendResult(part);
    this.#sendSquares();
  }

  #sendResult(part: Part, hash?: BlockHash): void {
    const place = this.#places.result(part);
    for (const outbox of this.#outboxes.values()) outbox.push({ phase: "result", bucket: 0, place, hash });
  }

  #sendSquares(): void {
    const place = this.#places.squares(this.#plan.shape.rank);
    for (const outbox of this.#outboxes.values()) outbox.push({ phase: "squares", bucket: 0, place });
  }
}
