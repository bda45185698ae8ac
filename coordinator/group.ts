import project from "../deno.json" with { type: "json" };
import type { Clock } from "../shared/clock.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import type { DataFile } from "../shared/data/data_files.ts";
import { LockstepError } from "../shared/errors.ts";
import type { CoordinatorServer, Received } from "../shared/protocol/channel.ts";
import type { FromWorker, Message, Order, Report } from "../shared/protocol/messages.ts";
import { Session } from "../shared/protocol/session.ts";
import { blame, mostNamed } from "./blame.ts";
import type { Snapshot } from "./snapshot.ts";
import { type MemberInfo, parseMemberInfo } from "./member_info.ts";
import {
  type Candidate,
  decide,
  eligible,
  type Membership,
  type MembershipEvent,
  noMembers,
  ownPause,
  TICK_MS,
} from "./membership.ts";
import { dealShards, redealShards, scratchCapacity } from "./plan.ts";
import { Slowness } from "./slowness.ts";

/** A boundary between steps. */
export interface Position {
  /** So many steps are decided. */
  readonly step: number;
  /** The state after them; null while no member has told it. */
  readonly stateHash: string | null;
}

/** What members need to apply a decided step. */
export type StepDecision = Message<Order, "COMMIT">["decided"];

/** What a group does between two rosters: a step, an evaluation, the reading of the state. */
export interface Activity {
  /** All members of a generation are ready at the boundary: do it, or what of it is left. */
  start(): void;
  /** A message of a member that the group itself has no use for. */
  take(from: string, report: Report): void;
  /** A member is lost. True if the others cannot go on without another roster. */
  lost(id: string): boolean;
  /** It cannot be done any more. */
  fail(error: unknown): void;
  /** Members that hold it up while nothing moves. */
  unfinished(): readonly string[];
  /** Called every TICK_MS. */
  tick?(): void;
}

/** A worker as somebody outside sees it. */
export interface WorkerStatus {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** Null for one that is no member now. */
  readonly rank: number | null;
  /** Of the virtual shards, what it computes. */
  readonly shards: readonly number[];
  readonly state:
    | "member"
    /** A member that computes nothing: more are there than shards. */
    | "spare"
    /** It becomes a member at the next boundary. */
    | "standby"
    | "loading"
    /** Silent for a while. */
    | "suspected"
    /** Evicted more than once, and waiting for readmission. */
    | "barred";
  /** Time since it was heard. */
  readonly silentMs: number;
  /** CPU time of its process. */
  readonly cpuMs: number;
}

/** Where a coordinator is in a step. */
export type CoordinatorPoint = "reduce" | "prepared" | "decided" | "commit";

export interface GroupOptions {
  readonly server: CoordinatorServer;
  readonly clock: Clock;
  readonly epoch: number;
  readonly config: RunConfig;
  readonly configHash: string;
  /** The run's name, for workers that say which run they mean to join; null takes any. */
  readonly runId?: string | null;
  /** False for members that only evaluate. */
  readonly trains: boolean;
  /** Members that are waited for before the first roster. */
  readonly expected: number;
  /** How long they are waited for once `minMembers` are there, in ms. */
  readonly lastCallMs?: number;
  readonly minMembers: number;
  /** How long it waits with fewer than that, in ms. */
  readonly patienceMs?: number;
  readonly maxMembers: number;
  /** Where other hosts reach workers of this one; the loopback address if left out. */
  readonly address?: string;
  /** Whether workers may join that nobody here has started. */
  readonly takesOthers?: boolean;
  /** Whether the members live in this process: they can't be silent. */
  readonly inProcess?: boolean;
  /** Where to start: decided before, or the start of a run. */
  readonly position: Position;
  /** The last generation of the epoch before; names of sockets hold it. */
  readonly generation?: number;
  /** The last decision, for members of an earlier epoch that have prepared it; null for none. */
  readonly decided: StepDecision | null;
  /** Prepared text that the run reads. */
  readonly files?: readonly DataFile[];
  /** A piece of one of them; empty after its end. */
  readData?(file: string, index: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The newest state that is stored; null where none is. */
  restore(): Promise<Snapshot | null>;
  /** Told of what a person may want to change. */
  warn?(sentence: string): void;
  /** Every decision, with its reason. */
  note(event: string, fields: Record<string, unknown>): void;
  /** Told of every point that is reached, before anything goes on: for faults that are to happen just there. */
  reach?(point: CoordinatorPoint, step: number): void;
  /** Told of a member's computation; throws to refuse the member. */
  admit?(id: string, loaded: { info: MemberInfo; fingerprint: string | null }): void;
}

/** A worker in a session. */
interface Peer {
  readonly id: string;
  readonly session: Session<Order, Report>;
  readonly hello: Message<Report, "HELLO">;
  /** Where others reach it. */
  readonly address: string;
  info: MemberInfo | null;
  applied: number | null;
  stateHash: string | null;
  prepared: { readonly step: number; readonly gradHash: string } | null;
  /** From its BEATs. */
  waitsFor: readonly string[];
  moved: number;
  dropped: number;
  cpuMs: number;
  activeAt: number;
}

/** The members of a generation. */
interface Roster {
  readonly generation: number;
  readonly ids: readonly string[];
  readonly shards: ReadonlyMap<string, readonly number[]>;
  readonly lost: Set<string>;
  readonly ready: Set<string>;
  /** TCP ports on which members wait for members of other hosts, by id and rank. */
  readonly ports: Map<string, readonly number[]>;
  /** Whom SYNC_GET is passed to; null where this coordinator has the state itself. */
  readonly donor: string | null;
}

/** Failed reductions that name a member, of generations in a row, before it is evicted. */
const FAILURES = 2;
/** A broken link is often the first that is heard of a death: what follows is awaited for so long, in ms. */
const LINK_GRACE_MS = 500;
/** Once so many as there must be are there, the others are waited for so long, in ms. */
const LAST_CALL_MS = 30_000;
/** With too few members a run waits for so long unless told otherwise, in ms. */
const PATIENCE_MS = 300_000;

/**
 * The members of a run: who belongs, in which generation, with which state. Everything that may happen to them is handled
 * here, so that what a coordinator does with them (`run`) needs to know of no death, stall or join.
 */
export class Group {
  #membership: Membership;
  #position: Position;
  #decided: StepDecision | null;
  readonly #peers = new Map<string, Peer>();
  #generation: number;
  /** Rosters that this coordinator has called. */
  #rosters = 0;
  #roster: Roster | null = null;
  #activity: Activity | null = null;
  /** A state from storage: members take it from here until a step is made. */
  #snapshot: Snapshot | null = null;
  #restoring = false;
  #tooFewSince: number | null;
  #firstRoster = Promise.withResolvers<MemberInfo>();
  #expected: number;
  #lastJoinAt: number;
  /** Reductions of this generation that failed: who says so, and of whom. */
  readonly #failures: { by: string; about: string | null }[] = [];
  #failuresInARow = 0;
  readonly #slowness = new Slowness();
  #regroupAt: number | null = null;
  /** What all members compute with. */
  #common: MemberInfo | null = null;
  #ended: { readonly error: unknown } | undefined;
  #drained = false;
  readonly #stop: () => void;

  constructor(private readonly options: GroupOptions) {
    const { clock, position, decided, expected, generation = 0 } = options;
    this.#generation = generation;
    this.#membership = noMembers(clock.now());
    this.#position = position;
    this.#decided = decided;
    this.#expected = expected;
    this.#tooFewSince = clock.now();
    this.#lastJoinAt = clock.now();
    this.#firstRoster.promise.catch(() => {}); // whoever forms the group is told
    this.#stop = clock.every(TICK_MS, () => this.#tick());
    this.options.server.onGone = (id) => this.#happened({ type: "gone", id, how: "its connection ended" });
    this.#listen();
  }

  /** Resolves with what the members compute once the first of them are ready. */
  form(): Promise<MemberInfo> {
    return this.#firstRoster.promise;
  }

  get position(): Position {
    return this.#position;
  }

  get epoch(): number {
    return this.options.epoch;
  }

  get generation(): number {
    return this.#generation;
  }

  /** The time by which all of this goes, in ms. */
  now(): number {
    return this.options.clock.now();
  }

  get #lastCallMs(): number {
    return this.options.lastCallMs ?? LAST_CALL_MS;
  }

  get takesOthers(): boolean {
    return this.options.takesOthers ?? false;
  }

  /** The members that are there, by rank. */
  get ids(): readonly string[] {
    const roster = this.#roster;
    return roster === null ? [] : roster.ids.filter((id) => !roster.lost.has(id));
  }

  /** Virtual shards by member, of all members of the roster. */
  get shards(): ReadonlyMap<string, readonly number[]> {
    return this.#roster?.shards ?? new Map();
  }

  /** Everyone who is in a session: the members by rank, then the others by name. */
  get workers(): readonly WorkerStatus[] {
    const now = this.options.clock.now();
    const { candidates } = this.#membership;
    const able = eligible(now, this.#membership);
    const others = [...candidates.keys()].filter((id) => !this.ids.includes(id)).sort(byName);
    return [...this.ids, ...others].flatMap((id) => {
      const [peer, candidate] = [this.#peers.get(id), candidates.get(id)];
      if (peer === undefined || candidate === undefined) return [];
      const { hello: { host, pid }, cpuMs } = peer;
      const rank = this.ids.includes(id) ? this.#roster?.ids.indexOf(id) ?? null : null;
      const shards = rank === null ? [] : this.shards.get(id) ?? [];
      const silentMs = candidate.inProcess ? 0 : now - candidate.heardAt;
      const state = this.#stateOf(candidate, { rank, shards, isAble: able.includes(id) });
      return [{ id, host, pid, rank, shards, state, silentMs, cpuMs }];
    });
  }

  #stateOf(
    { loaded, suspected }: Candidate,
    { rank, shards, isAble }: { rank: number | null; shards: readonly number[]; isAble: boolean },
  ): WorkerStatus["state"] {
    if (!loaded) return "loading";
    if (suspected) return "suspected";
    if (rank !== null) return shards.length > 0 || !this.options.trains ? "member" : "spare";
    return isAble ? "standby" : "barred";
  }

  /** Does something with the members, to its end, whatever happens to them meanwhile. One thing at a time. */
  run(activity: Activity): void {
    if (this.#ended !== undefined) return activity.fail(this.#ended.error);
    this.#activity = activity;
    const why = this.#outdated();
    if (why === null) this.#start();
    else this.#regroup(why);
  }

  /** The activity is over. */
  done(): void {
    this.#activity = null;
  }

  /** A step is decided: members that have prepared it may apply it, now or when they are back. */
  decide(decided: StepDecision): void {
    this.#decided = decided;
    this.#position = { step: decided.step + 1, stateHash: null };
    this.#snapshot = null;
    this.#failuresInARow = 0;
    this.reach("decided", decided.step);
    for (const id of this.ids) {
      this.send(id, { type: "COMMIT", epoch: this.epoch, generation: this.#generation, decided });
      this.reach("commit", decided.step);
    }
  }

  reach(point: CoordinatorPoint, step: number): void {
    this.options.reach?.(point, step);
  }

  /** All members have applied what was decided. */
  advance(stateHash: string): void {
    this.#position = { ...this.#position, stateHash };
  }

  send(id: string, order: Order): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.options.server.send(id, peer.session.seal(order, this.options.clock.now()));
  }

  broadcast(order: Order): void {
    for (const id of this.ids) this.send(id, order);
  }

  /** What somebody outside knows of a member: that its process has ended, that it is to go. */
  tell(event: MembershipEvent): void {
    this.#happened(event);
  }

  /** A member that was expected will not come. */
  expectFewer(): void {
    this.#expected = Math.max(this.options.minMembers, this.#expected - 1);
  }

  /** Ends the run with an error. */
  fail(error: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#firstRoster.reject(error);
    this.#activity?.fail(error);
    this.#activity = null;
  }

  /** Sends the members home, and whoever says HELLO from now on. */
  drain(): void {
    this.#drained = true;
    for (const id of this.#peers.keys()) this.send(id, { type: "DRAIN" });
    this.close();
  }

  /** Stops the clock; messages are still taken from the socket so that libzmq delivers what was sent. */
  close(): void {
    this.#stop();
    this.#ended ??= { error: new LockstepError("E_INTERRUPTED", "The run is over") };
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const received = await this.options.server.receive();
        if (received === null) return;
        if (received.role !== "admin") this.#receive(received);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #receive({ from, address, message }: Received): void {
    const now = this.options.clock.now();
    const known = this.#peers.get(from);
    if (known?.session.id !== message.session) {
      return message.type === "HELLO" && message.seq === 1
        ? this.#greet(from, { hello: message, address })
        : this.#refuse(from, message);
    }
    const candidate = this.#membership.candidates.get(from);
    if (candidate !== undefined && (candidate.suspected || now - candidate.heardAt > TICK_MS)) {
      this.#happened({ type: "heard", id: from });
    }
    const isNew = known.session.accept(message);
    for (const sealed of known.session.overdue(now)) this.options.server.send(from, sealed);
    if (isNew && this.#ended === undefined) this.#handle(known, message);
  }

  /** Whoever speaks in a session that is over may begin another one. */
  #refuse(from: string, { session, type }: FromWorker): void {
    this.options.note("stale_message", { from, type });
    const message = `The session of ${from} is over: a new HELLO is required`;
    this.options.server.send(from, { type: "ERROR", session, seq: 0, ack: 0, code: "E_STALE", message });
  }

  #greet(
    id: string,
    { hello, address: seen }: { hello: FromWorker & { type: "HELLO" }; address: string | null },
  ): void {
    const { server, clock, epoch, config, configHash, trains, maxMembers, inProcess = false } = this.options;
    const deny = (code: "E_VERSION" | "E_RUN" | "E_DUPLICATE_ID", message: string) => {
      this.options.note("refused", { id, code, message });
      server.send(id, { type: "ERROR", session: hello.session, seq: 0, ack: 0, code, message });
    };
    if (hello.version !== project.version) {
      return deny(
        "E_VERSION",
        `Cannot take ${id} as its Lockstep is ${hello.version} and this run's ${project.version}: install the same`,
      );
    }
    const { runId = null } = this.options;
    if (hello.run !== null && runId !== null && hello.run !== runId) {
      return deny(
        "E_RUN",
        `Cannot take ${id} as it wants to join the run ${hello.run}: this one is ${runId}`,
      );
    }
    const other = this.#peers.get(id);
    if (other !== undefined && (other.hello.pid !== hello.pid || other.hello.host !== hello.host)) {
      return deny(
        "E_DUPLICATE_ID",
        `Cannot take a second ${id}: one is a member already; choose another --id`,
      );
    }
    if (other !== undefined) this.#happened({ type: "gone", id, how: "it began another session" });
    const session = new Session<Order, Report>(hello.session);
    session.accept(hello);
    if (this.#drained) return void server.send(id, session.seal({ type: "DRAIN" }, clock.now()));
    const { applied, stateHash, prepared } = hello;
    // From here a worker on this machine is seen at an address that others cannot reach.
    const address = seen === null || seen.startsWith(LOOPBACK_NET) ? this.options.address ?? LOOPBACK : seen;
    const progress = { waitsFor: [], moved: 0, dropped: 0, cpuMs: 0, activeAt: clock.now() };
    this.#peers.set(id, {
      id,
      session,
      hello,
      address,
      info: null,
      applied,
      stateHash,
      prepared,
      ...progress,
    });
    this.#lastJoinAt = clock.now();
    this.#happened({ type: "joined", id, inProcess });
    const scratchGradients = scratchCapacity(config.gradient_accumulation_steps, maxMembers);
    const files = [...this.options.files ?? []];
    this.send(id, {
      type: "CONFIG",
      epoch,
      config: { ...config },
      configHash,
      files,
      trains,
      scratchGradients,
    });
  }

  #handle(peer: Peer, report: Report): void {
    switch (report.type) {
      case "BEAT":
        return this.#beat(peer, report);
      case "DATA_GET":
        return void this.#giveData(peer, report);
      case "LOADED":
        return this.#admit(peer, report);
      case "READY":
        return this.#ready(peer, report);
      case "PORTS":
        return this.#connect(peer, report);
      case "SYNC_GET":
        return this.#serve(peer, report);
      case "FAILED":
        return this.#reductionFailed(peer, report);
      case "LEAVE":
        return this.#happened({ type: "left", id: peer.id, why: report.reason });
      case "ERROR":
        return this.#memberFailed(peer, report);
      case "APPLIED":
        [peer.applied, peer.stateHash, peer.prepared] = [report.step, report.stateHash, null];
        break;
      case "PREPARED":
        peer.prepared = { step: report.step, gradHash: report.gradHash };
        break;
      case "SYNC_DATA":
        this.#pass(report);
        break;
    }
    if ("generation" in report && report.generation !== this.#generation) return;
    if (this.ids.includes(peer.id)) this.#activity?.take(peer.id, report);
  }

  #beat(peer: Peer, { waitsFor, moved, dropped, cpuMs }: Message<Report, "BEAT">): void {
    const now = this.options.clock.now();
    peer.waitsFor = waitsFor.flatMap((rank) => this.#roster?.ids[rank] ?? []);
    if (moved !== peer.moved || cpuMs - peer.cpuMs > BUSY_MS) peer.activeAt = now;
    if (dropped > peer.dropped) this.options.note("dropped_frames", { id: peer.id, dropped });
    [peer.moved, peer.dropped, peer.cpuMs] = [moved, dropped, cpuMs];
    this.#findSlow(peer);
    this.options.server.send(peer.id, peer.session.sealLoose({ type: "BEAT" }));
  }

  #findSlow({ id, waitsFor }: Peer): void {
    const others = this.ids.filter((other) => other !== id);
    if (!this.ids.includes(id) || others.length === 0 || this.#activity === null) return;
    const isWaitedFor = waitsFor.length === 0 &&
      others.every((other) => this.#peers.get(other)?.waitsFor.includes(id));
    if (!this.#slowness.beat(id, isWaitedFor)) return;
    const reason = `${id} is slow: the others wait for it most of the time`;
    this.options.note("slow", { id, reason });
    this.options.warn?.(reason);
  }

  async #giveData(peer: Peer, { file, index }: Message<Report, "DATA_GET">): Promise<void> {
    const bytes = await this.options.readData?.(file, index);
    if (bytes !== undefined) this.send(peer.id, { type: "DATA_PART", file, index, bytes });
  }

  #admit(peer: Peer, { info, fingerprint }: Message<Report, "LOADED">): void {
    try {
      peer.info = parseMemberInfo(info);
      this.#refuseOther(peer);
      this.options.admit?.(peer.id, { info: peer.info, fingerprint });
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      const { code, message } = error;
      if (this.#rosters === 0) return this.fail(error);
      this.send(peer.id, { type: "ERROR", code, message });
      return this.#happened({ type: "accused", id: peer.id, why: message });
    }
    this.#happened({ type: "loaded", id: peer.id });
  }

  /** All members compute the same: model, data, program. */
  #refuseOther({ id, info }: Peer): void {
    this.#common ??= info;
    const common: Record<string, unknown> = { ...this.#common };
    const other = Object.entries(info ?? {}).find(([key, value]) =>
      JSON.stringify(value) !== JSON.stringify(common[key])
    );
    if (other === undefined) return;
    const [key, value] = other;
    throw new LockstepError(
      "E_CONFIG_HASH",
      `Cannot take ${id} as its ${key} is ${JSON.stringify(value).slice(0, 200)} and the others' ${
        JSON.stringify(common[key]).slice(0, 200)
      }: install the same version and give it the same data`,
    );
  }

  /** An error that a member cannot get over. While a run forms it is the run's. */
  #memberFailed(peer: Peer, { code, message }: Message<Report, "ERROR">): void {
    const isRun = this.#rosters === 0 || this.ids.length <= 1;
    this.options.note("member_failed", { id: peer.id, code, message });
    if (isRun || code === "E_DIVERGED") return this.fail(new LockstepError(code, message));
    this.#happened({ type: "left", id: peer.id, why: `${code}: ${message}` });
  }

  /** Decides what an event means, and does it. */
  #happened(event: MembershipEvent): void {
    const { membership, actions, reason } = decide(this.options.clock.now(), this.#membership, event);
    this.#membership = membership;
    if (reason !== "") this.options.note("membership", { event: event.type, reason });
    for (const action of actions) {
      if (action.type === "evict") this.#lose(action.id, reason);
    }
    if (this.#ended !== undefined) return;
    if (actions.some(({ type }) => type === "welcome") && this.#roster === null) this.#regroup(reason);
  }

  #lose(id: string, reason: string): void {
    this.#peers.delete(id);
    const roster = this.#roster;
    if (roster === null || !roster.ids.includes(id) || roster.lost.has(id)) return;
    roster.lost.add(id);
    const isForming = roster.ready.size < roster.ids.length;
    const isHeldUp = this.#activity?.lost(id) ?? false;
    if (isForming || isHeldUp || this.ids.length === 0) this.#regroup(reason);
  }

  /** Why the next thing needs another roster; null if it does not. */
  #outdated(): string | null {
    const roster = this.#roster;
    if (roster === null) return "there is no roster";
    if (roster.ready.size < roster.ids.length) return null; // one is forming
    if (roster.lost.size > 0) return `${[...roster.lost].join(", ")} lost`;
    const newcomers = eligible(this.options.clock.now(), this.#membership).filter((id) =>
      !roster.ids.includes(id)
    );
    if (newcomers.length === 0 || roster.ids.length >= this.options.maxMembers) return null;
    return `${newcomers.join(", ")} joined`;
  }

  /** FORMING: another generation of all who may be members. */
  #regroup(reason: string): void {
    const { clock, minMembers, maxMembers, note } = this.options;
    if (this.#restoring || this.#ended !== undefined) return;
    const now = clock.now();
    this.#regroupAt = null;
    const stayed = this.ids;
    const able = eligible(now, this.#membership);
    const ids = [
      ...stayed.filter((id) => able.includes(id)),
      ...able.filter((id) => !stayed.includes(id)).sort(byName),
    ]
      .slice(0, maxMembers);
    const isFirst = this.#rosters === 0;
    const wanted = isFirst && now - this.#lastJoinAt < this.#lastCallMs ? this.#expected : minMembers;
    if (ids.length < Math.max(1, wanted)) {
      this.#roster = null;
      this.#tooFewSince ??= now;
      return note("waiting", { members: ids.length, wanted, reason });
    }
    const stateful = ids.filter((id) => this.#hasState(id));
    const isStart = this.#position.step === 0 && this.#decided === null && this.#snapshot === null;
    if (stateful.length === 0 && !isStart && this.#snapshot === null) return void this.#restore();
    this.#tooFewSince = null;
    this.#failures.length = 0;
    this.#call(ids, { stateful, isStart: isStart && stateful.length === 0, reason });
  }

  /** Sends the roster. */
  #call(
    ids: readonly string[],
    { stateful, isStart, reason }: { stateful: readonly string[]; isStart: boolean; reason: string },
  ): void {
    const { epoch } = this;
    const { config: { gradient_accumulation_steps: V }, note, trains } = this.options;
    const shards = trains ? this.#deal(ids, V) : ids.map(() => []);
    const generation = ++this.#generation;
    this.#rosters++;
    const donor = this.#snapshot === null ? stateful[0] ?? null : null;
    this.#wanted.clear();
    this.#slowness.forget();
    this.#roster = {
      generation,
      ids,
      donor,
      shards: new Map(ids.map((id, rank) => [id, shards[rank]])),
      lost: new Set(),
      ready: new Set(),
      ports: new Map(),
    };
    note("roster", { epoch, generation, step: this.#position.step, members: ids, shards, donor, reason });
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const members = ids.map((id, rank) => {
      const { host = "", endpoint = null, publicKey = null } = this.#peers.get(id)?.hello ?? {};
      return { id, rank, host, endpoint, publicKey };
    });
    const at = {
      epoch,
      generation,
      step: this.#position.step,
      nonce,
      worldSize: ids.length,
      members,
      shards,
    };
    for (const [rank, id] of ids.entries()) {
      const source = isStart ? "init" : stateful.includes(id) ? "own" : "sync";
      this.send(id, { type: "ROSTER", ...at, rank, source, decided: this.#decided });
      const peer = this.#peers.get(id);
      if (peer !== undefined) peer.activeAt = this.options.clock.now();
    }
  }

  /** Within a step those who stay keep what they compute; at a boundary the loads are balanced anew. */
  #deal(ids: readonly string[], V: number): number[][] {
    const before = this.#roster;
    const isRedo = before !== null && this.#activity !== null && ids.every((id) => before.ids.includes(id));
    if (!isRedo) return dealShards(V, ids.length);
    const kept = ids.map((id) => before.shards.get(id) ?? []);
    const { maxMembers } = this.options;
    return redealShards(V, { kept, scratchGradients: scratchCapacity(V, maxMembers) });
  }

  /** Whether a member has the state of the boundary, or can have it by applying what is decided. */
  #hasState(id: string): boolean {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.applied === null) return false;
    const { step, stateHash } = this.#position;
    if (peer.applied === step) return stateHash === null || peer.stateHash === stateHash;
    const decided = this.#decided;
    return decided !== null && decided.step === step - 1 && peer.applied === decided.step &&
      peer.prepared?.step === decided.step && peer.prepared.gradHash === decided.gradHash;
  }

  /** Nobody has the state any more: goes back to the newest that is stored, or to the start. */
  async #restore(): Promise<void> {
    if (this.#restoring) return;
    this.#restoring = true;
    this.#roster = null;
    try {
      const snapshot = await this.options.restore();
      const step = snapshot?.step ?? 0;
      this.options.note("restored", { step, from: this.#position.step });
      const isBack = step < this.#position.step;
      this.#snapshot = snapshot;
      this.#position = { step, stateHash: snapshot?.stateHash ?? null };
      this.#decided = null;
      if (isBack) this.#goBack(step);
      this.#restoring = false;
      if (this.#ended === undefined) this.#regroup(`nobody has the state: back to step ${step}`);
    } catch (error) {
      this.fail(error);
    }
  }

  /** What goes on belongs to a step that is to be made again. */
  #goBack(step: number): void {
    const activity = this.#activity;
    this.#activity = null;
    activity?.fail(new WentBack(step));
  }

  #ready(peer: Peer, { generation, step, stateHash }: Message<Report, "READY">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation) return;
    [peer.applied, peer.stateHash] = [step, stateHash];
    roster.ready.add(peer.id);
    if (roster.ready.size === roster.ids.length) this.#begin(roster);
  }

  /** Members on several hosts are told each other's ports once all have opened them. */
  #connect(peer: Peer, { generation, ports }: Message<Report, "PORTS">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation) return;
    roster.ports.set(peer.id, ports);
    if (roster.ports.size < roster.ids.length) return;
    for (const [rank, id] of roster.ids.entries()) {
      const endpoints = roster.ids.map((other) => {
        const port = roster.ports.get(other)?.[rank] ?? 0;
        return port === 0 ? "" : `tcp://${this.#peers.get(other)?.address ?? LOOPBACK}:${port}`;
      });
      this.send(id, { type: "LINKS", epoch: this.epoch, generation, endpoints });
    }
  }

  /** All are ready: what goes on has one state, that of whoever had it before. */
  #begin(roster: Roster): void {
    const [first] = roster.ids;
    const stateHash = this.#position.stateHash ?? this.#peers.get(roster.donor ?? first)?.stateHash ?? null;
    const isAlike = (peer: Peer | undefined) =>
      peer?.applied === this.#position.step && peer.stateHash === stateHash;
    const other = roster.ids.find((id) => !isAlike(this.#peers.get(id)));
    if (other !== undefined) return this.#refuseState(other);
    this.#position = { ...this.#position, stateHash };
    const info = this.#peers.get(first)?.info ?? null;
    if (info !== null) this.#firstRoster.resolve(info);
    this.#start();
  }

  /** A start that differs is the run's end; a member that took it from another one takes it again. */
  #refuseState(id: string): void {
    const peer = this.#peers.get(id);
    if (this.#isOnlyStart()) return this.fail(this.#diverged(id));
    if (peer !== undefined) peer.applied = peer.stateHash = null;
    const why = `its state is not that of the others at step ${this.#position.step}`;
    const { generation } = this;
    this.#happened({ type: "accused", id, why });
    if (generation === this.#generation) this.#regroup(why);
  }

  #isOnlyStart(): boolean {
    return this.#position.step === 0 && this.#rosters === 1;
  }

  #diverged(id: string): LockstepError {
    return new LockstepError(
      "E_DIVERGED",
      `Members do not agree on the state at step ${this.#position.step}: ${id} differs from ${
        this.#roster?.ids[0]
      }`,
    );
  }

  #start(): void {
    for (const id of this.ids) {
      const peer = this.#peers.get(id);
      if (peer !== undefined) peer.activeAt = this.options.clock.now();
    }
    this.#activity?.start();
  }

  /** Hands a piece of the state to a member that takes its start, or asks whoever has it. */
  #serve(peer: Peer, { generation, step, index }: Message<Report, "SYNC_GET">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation || step !== this.#position.step) return;
    const at = { epoch: this.epoch, generation, step, index };
    if (roster.donor !== null) {
      this.#wanted.set(index, [...this.#wanted.get(index) ?? [], peer.id]);
      return this.send(roster.donor, { type: "SYNC_GET", ...at });
    }
    const bytes = this.#snapshot?.piece(index);
    if (bytes !== undefined) this.send(peer.id, { type: "SYNC_DATA", ...at, bytes });
  }

  /** Who waits for a piece of the state, by its index. */
  readonly #wanted = new Map<number, string[]>();

  #pass({ epoch, generation, step, index, bytes }: Message<Report, "SYNC_DATA">): void {
    const waiting = this.#wanted.get(index) ?? [];
    this.#wanted.delete(index);
    if (generation !== this.#generation) return;
    for (const id of waiting) this.send(id, { type: "SYNC_DATA", epoch, generation, step, index, bytes });
  }

  #reductionFailed(peer: Peer, { generation, step, code, message, rank }: Message<Report, "FAILED">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation) return;
    this.options.note("reduction_failed", { id: peer.id, step, code, message });
    if (this.#failures.length === 0) this.#failuresInARow++;
    this.#failures.push({ by: peer.id, about: rank === null ? null : roster.ids[rank] ?? null });
    this.#regroupAt ??= this.options.clock.now() + LINK_GRACE_MS;
  }

  /** The same step once more; with the same members at first, then without whoever is named most. */
  #retry(): void {
    const standings = this.#failures.map(({ by, about }) => ({
      id: by,
      waitsFor: about === null ? [] : [about],
    }));
    const accused = this.#failuresInARow >= FAILURES ? mostNamed(standings) : null;
    const { generation } = this;
    if (accused !== null) {
      this.#failuresInARow = 0;
      const by = this.#failures.filter(({ about }) => about === accused).map(({ by }) => by).join(", ");
      this.#happened({ type: "accused", id: accused, why: `the link between it and ${by} fails` });
    }
    if (this.#generation === generation) this.#regroup("the reduction failed");
  }

  #tick(): void {
    const now = this.options.clock.now();
    this.#forgive(ownPause(now, this.#membership));
    this.#happened({ type: "tick" });
    if (this.#ended !== undefined) return;
    if (this.#regroupAt !== null && now >= this.#regroupAt) {
      this.#regroupAt = null;
      this.#retry();
    }
    if (this.#roster === null && !this.#restoring) this.#waitForMore(now);
    else this.#findStall(now);
    this.#activity?.tick?.();
  }

  /** Nobody is judged by time that this coordinator has missed. */
  #forgive(pause: number): void {
    for (const peer of this.#peers.values()) peer.activeAt += pause;
    if (this.#tooFewSince !== null) this.#tooFewSince += pause;
  }

  #waitForMore(now: number): void {
    const able = eligible(now, this.#membership).length;
    const since = this.#tooFewSince ?? now;
    const isDue = this.#rosters > 0 || now - this.#lastJoinAt > this.#lastCallMs || able >= this.#expected;
    if (able >= this.options.minMembers && able > 0 && isDue) {
      return this.#regroup("there are enough members again");
    }
    const { patienceMs = PATIENCE_MS } = this.options;
    if (now - since < patienceMs) return;
    this.fail(
      new LockstepError(
        "E_TOO_FEW",
        `Cannot go on after step ${this.#position.step} with ${able} workers: ${this.options.minMembers} are required, and ${
          patienceMs / 1000
        } s have passed; start them, and the run goes on`,
      ),
    );
  }

  #findStall(now: number): void {
    const roster = this.#roster;
    if (roster === null || this.options.inProcess) return;
    const isForming = roster.ready.size < roster.ids.length;
    const unfinished = isForming
      ? this.ids.filter((id) => !roster.ready.has(id))
      : this.#activity?.unfinished() ?? [];
    const standings = unfinished.flatMap((id) => {
      const peer = this.#peers.get(id);
      if (peer === undefined) return [];
      return [{ id, waitsFor: isForming ? [] : peer.waitsFor, idleMs: now - peer.activeAt }];
    });
    const found = blame(standings);
    if (found !== null) this.#happened({ type: "accused", ...found });
  }
}

const LOOPBACK = "127.0.0.1";
const LOOPBACK_NET = "127.";

const byName = new Intl.Collator("en", { numeric: true }).compare;

/** CPU time between two BEATs above which a member computes, in ms. */
const BUSY_MS = 50;

/** The run goes on from an earlier step: nobody had the state any more. */
export class WentBack extends Error {
  constructor(readonly step: number) {
    super(`Back to step ${step}`);
  }
}
