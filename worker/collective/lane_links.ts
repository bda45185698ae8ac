import { z } from "zod";
import type { Kernels } from "../kernels/kernels.ts";
import { encodeHeader, HEADER_BYTES, type Note, noteOf } from "./codec.ts";
import type { Bytes, ForArenas, Lane, Link, LinkInterest, Links, PeerArena, Received } from "./link.ts";
import { type ExposedMemory, MappedMemory, type MemoryOffer, memoryOffer } from "./shared_memory.ts";
import { BELL_BYTES, SLOT_PAYLOAD, Turns, type Way } from "./turns.ts";

/** What members offer each other. */
const laneOffer = z.strictObject({ partials: memoryOffer, state: memoryOffer, turns: memoryOffer });

/** More than an offer's JSON takes. */
const NOTE_BYTES = 2048;

const NO_HASH = new Uint32Array(4);
const NOTHING: Bytes = new Uint8Array(0);

export interface LaneOptions {
  /** By rank: members of one name are on one host, and others share no memory. Left out, it is tried with all. */
  readonly hosts?: readonly string[];
  /** The arenas, and memory for turns of this generation. */
  readonly exposed: ForArenas<ExposedMemory> & { readonly turns: ExposedMemory };
  /** Makes kernels whose `peer` memory is a peer's. */
  readonly bind: ForArenas<(peer: WebAssembly.Memory) => Kernels>;
  readonly rank: number;
  readonly nonce: Uint8Array;
  readonly generation: number;
}

/**
 * Links whose members see each other's memory where they are on one host: each offers its own before its first frame, maps
 * what is offered to it, and tells. From then on frames stay where they are, and messages about them go through memory
 * too; the links themselves wake who sleeps. Between hosts all goes on as without.
 */
export function laneLinks(links: Links, options: LaneOptions): Links {
  return new LaneLinks(links, options);
}

class LaneLinks implements Links {
  readonly byRank: ReadonlyMap<number, Link>;
  readonly #lanes = new Map<number, LaneLink>();
  readonly #turns: Turns;

  constructor(private readonly links: Links, private readonly options: LaneOptions) {
    const { exposed, hosts, rank } = options;
    this.#turns = new Turns(exposed.turns.memory);
    for (const [peer, link] of links.byRank) {
      if (hosts?.[peer] !== hosts?.[rank]) continue;
      this.#lanes.set(peer, new LaneLink({ link, peer, turns: this.#turns, options }));
    }
    this.byRank = new Map([...links.byRank, ...this.#lanes]);
  }

  async wait(interest: LinkInterest): Promise<void> {
    const sendsByMemory = (peer: number) => this.#lanes.get(peer)?.sendsByMemory === true;
    const to = interest.to.filter((peer) => !sendsByMemory(peer));
    const from = [...interest.from, ...interest.to.filter(sendsByMemory)]; // who makes room tells it by a note
    await this.#turns.whilePolling(() => this.#isReady(interest), () => this.links.wait({ from, to }));
    for (const lane of this.#lanes.values()) lane.hasNews = true;
  }

  waitBriefly(interest: LinkInterest, ms: number): boolean {
    const isByMemory = (peer: number) => this.#lanes.get(peer)?.isByMemory === true;
    if (!interest.from.every(isByMemory) || !interest.to.every(isByMemory)) return false;
    this.#turns.listen(() => this.#isReady(interest), ms);
    return true;
  }

  wake(): void {
    this.links.wake();
  }

  async close(): Promise<void> {
    await this.links.close();
    for (const lane of this.#lanes.values()) lane.unmap();
    this.options.exposed.turns.close();
  }

  #isReady({ from, to }: LinkInterest): boolean {
    return from.some((peer) => this.#lanes.get(peer)?.isReadable) ||
      to.some((peer) => this.#lanes.get(peer)?.isWritable);
  }
}

class LaneLink implements Link, Lane {
  peer: ForArenas<PeerArena> | null = null;
  isMapped = false;
  /** Whether everything that follows goes, or comes, through memory. */
  sendsByMemory = false;
  #receivesByMemory = false;
  /** Whether there may be notes besides what comes through memory. */
  hasNews = false;
  readonly #notes: { note: Note; payload: Bytes }[];
  readonly #mapped: MappedMemory[] = [];
  #way: Way | null = null;
  readonly #noteHeader: Bytes = new Uint8Array(HEADER_BYTES);
  readonly #notePayload: Bytes = new Uint8Array(NOTE_BYTES);

  constructor(
    private readonly parts: { link: Link; peer: number; turns: Turns; options: LaneOptions },
  ) {
    const { partials, state, turns } = parts.options.exposed;
    const offer: z.infer<typeof laneOffer> = {
      partials: partials.offer,
      state: state.offer,
      turns: turns.offer,
    };
    this.#notes = [{ note: "offer", payload: new TextEncoder().encode(JSON.stringify(offer)) }];
  }

  get lane(): Lane {
    return this;
  }

  get isByMemory(): boolean {
    return this.sendsByMemory && this.#receivesByMemory;
  }

  get isReadable(): boolean {
    return this.#receivesByMemory && this.#way !== null && this.parts.turns.isReadable(this.#way);
  }

  get isWritable(): boolean {
    return this.sendsByMemory && this.#way !== null && this.parts.turns.isWritable(this.#way);
  }

  trySend(header: Bytes, payload: Bytes): boolean {
    const { link, turns } = this.parts;
    if (!this.#sendNotes()) return false;
    if (this.#way === null || !this.isMapped || (!this.sendsByMemory && payload.length > SLOT_PAYLOAD)) {
      return link.trySend(header, payload);
    }
    if (!this.sendsByMemory) {
      this.#notes.push({ note: "moved", payload: NOTHING });
      if (!this.#sendNotes()) return false;
      this.sendsByMemory = true;
    }
    if (!turns.put(this.#way, header, payload)) {
      if (this.hasNews) link.trySend(this.#headerOf("wake", 0), NOTHING); // throws if there is nobody any more
      return false;
    }
    this.#ring(this.#way);
    return true;
  }

  tryReceive(header: Bytes, place: (headerBytes: number) => Bytes | null): Received | null {
    if (!this.#receivesByMemory || this.hasNews) {
      const received = this.#receiveBySocket(header, place);
      if (received !== null) return received;
    }
    if (!this.#receivesByMemory || this.#way === null) return null;
    const received = this.parts.turns.take(this.#way, header, place);
    if (received !== null && this.parts.turns.madeRoom(this.#way)) this.#ring(this.#way);
    return received;
  }

  /** Lets go of the peer's memory. */
  unmap(): void {
    this.peer = this.#way = null;
    for (const memory of this.#mapped) memory.unmap();
    this.#mapped.length = 0;
  }

  #receiveBySocket(header: Bytes, place: (headerBytes: number) => Bytes | null): Received | null {
    for (;;) {
      let note: Note | null = null;
      const received = this.parts.link.tryReceive(header, (headerBytes) => {
        note = noteOf(header.subarray(0, headerBytes), this.parts.options.nonce);
        return note === null ? place(headerBytes) : this.#notePayload;
      });
      if (received === null) this.hasNews = false;
      if (received === null || note === null) return received;
      this.#takeNote(note, this.#notePayload.subarray(0, Math.max(0, received.payload)));
    }
  }

  #takeNote(note: Note, payload: Bytes): void {
    if (note === "offer") this.#map(parseOffer(payload));
    if (note === "mapped") this.isMapped = true;
    if (note === "moved") this.#receivesByMemory = true;
  }

  /** Maps what the peer offers, once, if all of it is what it seems to be. */
  #map(offer: z.infer<typeof laneOffer> | null): void {
    if (offer === null || this.#mapped.length > 0) return;
    const { bind, rank } = this.parts.options;
    const partials = this.#mapOne(offer.partials);
    const state = offer.state.token === offer.partials.token ? partials : this.#mapOne(offer.state);
    const turns = this.#mapOne(offer.turns, BELL_BYTES);
    const isLarge = offer.turns.to >= this.parts.turns.memory.buffer.byteLength;
    if (partials === null || state === null || turns === null || !isLarge) return this.unmap();
    this.peer = {
      partials: { kernels: bind.partials(partials), bytes: offer.partials.to },
      state: { kernels: bind.state(state), bytes: offer.state.to },
    };
    this.#way = { rank, peer: this.parts.peer, theirs: new Turns(turns) };
    this.#notes.push({ note: "mapped", payload: NOTHING });
  }

  #mapOne(offer: MemoryOffer, writableBytes = 0): WebAssembly.Memory | null {
    const mapped = MappedMemory.map(offer, writableBytes);
    if (mapped === null) return null;
    this.#mapped.push(mapped);
    return mapped.memory;
  }

  /** Wakes the peer. If it does not take a note it has others to read, and is awake. */
  #ring({ theirs }: Way): void {
    if (!theirs.ring()) this.parts.link.trySend(this.#headerOf("wake", 0), NOTHING);
  }

  #sendNotes(): boolean {
    for (let next = this.#notes.at(0); next !== undefined; next = this.#notes.at(0)) {
      const header = this.#headerOf(next.note, next.payload.length);
      if (!this.parts.link.trySend(header, next.payload)) return false;
      this.#notes.shift();
    }
    return true;
  }

  #headerOf(phase: Note, length: number): Bytes {
    const { nonce, generation, rank } = this.parts.options;
    const nothing = { step: 0, attempt: 0, bucket: 0, offset: 0, position: null, hash: NO_HASH };
    encodeHeader({ ...nothing, nonce, generation, phase, sender: rank, length }, this.#noteHeader);
    return this.#noteHeader;
  }
}

function parseOffer(note: Bytes): z.infer<typeof laneOffer> | null {
  try {
    return laneOffer.parse(JSON.parse(new TextDecoder().decode(note)));
  } catch {
    return null; // a damaged offer is no offer: frames carry their payloads
  }
}
