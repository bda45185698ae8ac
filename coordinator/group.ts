import { LockstepError } from "../shared/errors.ts";
import type { Message, Order, Report } from "../shared/protocol/messages.ts";
import type { Activity } from "./activity.ts";
import { blame } from "./blame.ts";
import { type MemberInfo, parseMemberInfo } from "./member_info.ts";
import {
  decide,
  eligible,
  type Membership,
  type MembershipEvent,
  noMembers,
  ownPause,
  TICK_MS,
} from "./membership.ts";
import type { Peer } from "./peer.ts";
import { dealShards, redealShards, scratchCapacity } from "./plan.ts";
import type { Position, StepDecision } from "./position.ts";
import { Reception, type ReceptionOptions } from "./reception.ts";
import { ReductionFailures } from "./reduction_failures.ts";
import { Slowness } from "./slowness.ts";
import type { Snapshot } from "./snapshot.ts";
import { StateRelay } from "./state_relay.ts";
import { statusOf, type WorkerStatus } from "./worker_status.ts";

/** Where a coordinator is in a step. */
export type CoordinatorPoint = "reduce" | "prepared" | "decided" | "commit";

export interface GroupOptions extends ReceptionOptions {
  /** Members that are waited for before the first roster. */
  readonly expected: number;
  /** How long they are waited for once `minMembers` are there, in ms. */
  readonly lastCallMs?: number;
  readonly minMembers: number;
  /** How long it waits with fewer than that, in ms. */
  readonly patienceMs?: number;
  /** True once somebody asked the run to end: no members are waited for any more. */
  shouldStop?(): boolean;
  /** Whether workers may join that nobody here has started. */
  readonly takesOthers?: boolean;
  /** The workers that this coordinator has started; all where it is not given. */
  readonly own?: ReadonlySet<string>;
  /** Whether the members live in this process: they can't be silent. */
  readonly inProcess?: boolean;
  /** Where to start: decided before, or the start of a run. */
  readonly position: Position;
  /** The last generation of the epoch before; names of sockets hold it. */
  readonly generation?: number;
  /** The last decision, for members of an earlier epoch that have prepared it; null for none. */
  readonly decided: StepDecision | null;
  /** The newest state that is stored; null where none is. */
  restore(): Promise<Snapshot | null>;
  /** Every decision, with its reason. */
  note(event: string, fields: Record<string, unknown>): void;
  /** Told of every point that is reached, before anything goes on: for faults that are to happen just there. */
  reach?(point: CoordinatorPoint, step: number): void;
  /** Told of a member's computation; throws to refuse the member. */
  admit?(id: string, loaded: { info: MemberInfo; fingerprint: string | null }): void;
}

/** The members of a generation. */
interface Roster {
  readonly generation: number;
  readonly calledAt: number;
  readonly ids: readonly string[];
  readonly shards: ReadonlyMap<string, readonly number[]>;
  readonly lost: Set<string>;
  readonly ready: Set<string>;
  /** TCP ports on which members wait for members of other hosts, by id and rank. */
  readonly ports: Map<string, readonly number[]>;
  /** Whom SYNC_GET is passed to; null where this coordinator has the state itself. */
  readonly donor: string | null;
}

/** Once so many as there must be are there, the others are waited for so long, in ms. */
const LAST_CALL_MS = 30_000;
/** With too few members a run waits for so long unless told otherwise, in ms. */
const PATIENCE_MS = 300_000;
/** Workers that have left a coordinator while it was stopped are back within so long, in ms. */
const RETURN_MS = 5_000;

/**
 * The members of a run: who belongs, in which generation, with which state. Everything that may happen to them is handled
 * here, so that what a coordinator does with them (`run`) needs to know of no death, stall or join.
 */
export class Group {
  #membership: Membership;
  #position: Position;
  #decided: StepDecision | null;
  readonly #reception: Reception;
  #generation: number;
  /** Rosters that this coordinator has called. */
  #rosters = 0;
  #roster: Roster | null = null;
  #activity: Activity | null = null;
  /** A state from storage: members take it from here until a step is made. */
  #snapshot: Snapshot | null = null;
  #restoring = false;
  #tooFewSince: number | null;
  #stoppedUntil = -Infinity;
  #firstRoster = Promise.withResolvers<MemberInfo>();
  #expected: number;
  #lastJoinAt: number;
  readonly #relay = new StateRelay();
  readonly #failures = new ReductionFailures();
  readonly #slowness = new Slowness();
  /** What all members compute with. */
  #common: MemberInfo | null = null;
  #ended: { readonly error: unknown } | undefined;
  readonly #stop: () => void;

  constructor(private readonly options: GroupOptions) {
    const { clock, position, decided, expected, minMembers, generation = 0 } = options;
    this.#generation = generation;
    this.#membership = noMembers(clock.now());
    this.#position = position;
    this.#decided = decided;
    this.#expected = Math.max(expected, minMembers);
    this.#tooFewSince = clock.now();
    this.#lastJoinAt = clock.now();
    this.#firstRoster.promise.catch(() => {}); // whoever forms the group is told
    this.#stop = clock.every(TICK_MS, () => this.#tick());
    options.server.onGone = (id) => this.#lostConnection(id);
    this.#reception = new Reception(options, {
      replaced: (id) => this.#happened({ type: "gone", id, how: "it began another session" }),
      joined: (peer) => this.#joined(peer),
      heard: (id) => this.#heard(id),
      report: (peer, report) => this.#ended === undefined && this.#handle(peer, report),
      failed: (error) => this.fail(error),
    });
    this.#reception.listen();
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
    const now = this.now();
    const able = eligible(now, this.#membership);
    const others = [...this.#membership.candidates.keys()].filter((id) => !this.ids.includes(id)).sort(
      byName,
    );
    return [...this.ids, ...others].flatMap((id) => {
      const [peer, candidate] = [this.#reception.get(id), this.#membership.candidates.get(id)];
      if (peer === undefined || candidate === undefined) return [];
      const rank = this.ids.includes(id) ? this.#roster?.ids.indexOf(id) ?? null : null;
      const shards = rank === null ? [] : this.shards.get(id) ?? [];
      const { trains } = this.options;
      return [statusOf({ peer, candidate, rank, shards, isAble: able.includes(id), trains, now })];
    });
  }

  /**
   * Does something with the members, to its end, whatever happens to them meanwhile. One thing at a time. Joiners wait for
   * the end of what `isUnderWay`.
   */
  run(activity: Activity, { isUnderWay = false }: { isUnderWay?: boolean } = {}): void {
    if (this.#ended !== undefined) return activity.fail(this.#ended.error);
    this.#activity = activity;
    const why = isUnderWay && this.#isWhole ? null : this.#outdated();
    if (why === null) this.#start();
    else this.#regroup(why);
  }

  /** The activity is over. */
  done(): void {
    this.#activity = null;
  }

  /**
   * A step is decided: members that have prepared it may apply it, now or when they are back. With `next` they go on with
   * the next one by themselves.
   */
  decide(decided: StepDecision, next: Message<Order, "COMMIT">["next"] = null): void {
    this.#decided = decided;
    this.#position = { step: decided.step + 1, stateHash: null };
    this.#snapshot = null;
    this.#failures.succeed();
    this.reach("decided", decided.step);
    for (const id of this.ids) {
      this.send(id, { type: "COMMIT", epoch: this.epoch, generation: this.#generation, decided, next });
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
    this.#reception.send(id, order);
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

  /** Sends the members home, and whoever says HELLO from now on; `stopped` tells them that the run may go on later. */
  drain({ stopped = false }: { stopped?: boolean } = {}): void {
    this.#reception.sendHome(stopped);
    this.close();
  }

  /** Stops the clock; messages are still taken from the socket so that libzmq delivers what was sent. */
  close(): void {
    this.#stop();
    this.#ended ??= { error: new LockstepError("E_INTERRUPTED", "The run is over") };
  }

  #joined({ id }: Peer): void {
    const { inProcess = false } = this.options;
    this.#lastJoinAt = this.now();
    this.#happened({ type: "joined", id, inProcess });
  }

  /** Not for each message: a candidate's time need not be known that well. */
  #heard(id: string): void {
    const candidate = this.#membership.candidates.get(id);
    if (candidate === undefined) return;
    if (candidate.suspected || this.now() - candidate.heardAt > TICK_MS) {
      this.#happened({ type: "heard", id });
    }
  }

  #handle(peer: Peer, report: Report): void {
    switch (report.type) {
      case "BEAT":
        return this.#beat(peer, report);
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
        peer.hasReached(report);
        break;
      case "PREPARED":
        peer.hasPrepared(report);
        break;
      case "SYNC_DATA":
        this.#pass(report);
        break;
    }
    if ("generation" in report && report.generation !== this.#generation) return;
    if (this.ids.includes(peer.id)) this.#activity?.take(peer.id, report);
  }

  #beat(peer: Peer, beat: Message<Report, "BEAT">): void {
    peer.waitsFor = beat.waitsFor.flatMap((rank) => this.#roster?.ids[rank] ?? []);
    if (beat.dropped > peer.dropped) {
      this.options.note("dropped_frames", { id: peer.id, dropped: beat.dropped });
    }
    peer.beat(beat, this.now());
    this.#findSlow(peer);
    this.#reception.beat(peer);
  }

  #findSlow({ id, waitsFor }: Peer): void {
    const others = this.ids.filter((other) => other !== id);
    if (!this.ids.includes(id) || others.length === 0 || this.#activity === null) return;
    const isWaitedFor = waitsFor.length === 0 &&
      others.every((other) => this.#reception.get(other)?.waitsFor.includes(id));
    if (!this.#slowness.beat(id, isWaitedFor)) return;
    const reason = `${id} is slow: the others wait for it most of the time`;
    this.options.note("slow", { id, reason });
    this.options.warn?.(reason);
  }

  #admit(peer: Peer, { info, fingerprint }: Message<Report, "LOADED">): void {
    try {
      peer.info = parseMemberInfo(info);
      this.#refuseOther(peer);
      this.options.admit?.(peer.id, { info: peer.info, fingerprint });
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      const { code, message } = error;
      if (this.#rosters === 0 && this.#isOwn(peer.id)) return this.fail(error);
      this.options.warn?.(`${peer.id} takes no part: ${code}: ${message}`);
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
    const isOnly = this.ids.length === 0 || (this.ids.length === 1 && this.ids[0] === peer.id);
    const isRun = this.#isOwn(peer.id) && (this.#rosters === 0 || isOnly);
    this.options.note("member_failed", { id: peer.id, code, message });
    this.options.warn?.(`${peer.id} takes no part: ${code}: ${message}`);
    if (isRun || code === "E_DIVERGED") return this.fail(new LockstepError(code, message));
    this.#happened({ type: "left", id: peer.id, why: `${code}: ${message}` });
  }

  /** What a worker cannot get over that somebody else has started is not the run's end. */
  #isOwn(id: string): boolean {
    return this.options.own?.has(id) ?? true;
  }

  /** Decides what an event means, and does it. */
  #happened(event: MembershipEvent): void {
    const { membership, actions, reason } = decide(this.options.clock.now(), this.#membership, event);
    this.#membership = membership;
    if (reason !== "") this.options.note("membership", { event: event.type, reason });
    for (const action of actions) {
      if (action.type !== "evict") continue;
      this.#reception.dismiss(action.id);
      this.#lose(action.id, reason);
    }
    if (this.#ended !== undefined) return;
    if (actions.some(({ type }) => type === "welcome") && this.#roster === null) this.#regroup(reason);
  }

  #lose(id: string, reason: string): void {
    const roster = this.#roster;
    if (roster === null || !roster.ids.includes(id) || roster.lost.has(id)) return;
    roster.lost.add(id);
    const isForming = roster.ready.size < roster.ids.length;
    const isHeldUp = this.#activity?.lost(id) ?? false;
    if (isForming || isHeldUp || this.ids.length === 0) this.#regroup(reason);
  }

  /** Whether the next thing needs another roster. */
  get awaitsChange(): boolean {
    return this.#outdated() !== null;
  }

  get #isWhole(): boolean {
    return this.#roster?.lost.size === 0;
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
    const stateful = ids.filter((id) => this.#reception.get(id)?.canReach(this.#position, this.#decided));
    const isStart = this.#position.step === 0 && this.#decided === null && this.#snapshot === null;
    if (stateful.length === 0 && !isStart && this.#snapshot === null) return void this.#restore();
    this.#tooFewSince = null;
    this.#failures.begin();
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
    this.#relay.clear();
    this.#slowness.forget();
    this.#roster = {
      generation,
      calledAt: this.now(),
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
      const { host = "", endpoint = null, publicKey = null } = this.#reception.get(id)?.hello ?? {};
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
      const peer = this.#reception.get(id);
      if (peer === undefined) continue;
      peer.activeAt = this.options.clock.now();
      if (source !== "own") peer.forgetState(); // it is written over, also where this generation comes to nothing
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
    peer.hasReached({ step, stateHash });
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
        return port === 0 ? "" : `tcp://${this.#reception.get(other)?.address}:${port}`;
      });
      this.send(id, { type: "LINKS", epoch: this.epoch, generation, endpoints });
    }
  }

  /** All are ready: what goes on has one state, that of whoever had it before. */
  #begin(roster: Roster): void {
    const [first] = roster.ids;
    const stateHash = this.#position.stateHash ?? this.#reception.get(roster.donor ?? first)?.stateHash ??
      null;
    const position = { step: this.#position.step, stateHash };
    const other = roster.ids.find((id) => !this.#reception.get(id)?.isAt(position));
    if (other !== undefined) return this.#refuseState(other);
    this.#position = position;
    const { generation, calledAt } = roster;
    this.options.note("formed", { generation, step: position.step, ms: this.now() - calledAt });
    const info = this.#reception.get(first)?.info ?? null;
    if (info !== null) this.#firstRoster.resolve(info);
    this.#start();
  }

  /** A start that differs is the run's end; a member that took it from another one takes it again. */
  #refuseState(id: string): void {
    const peer = this.#reception.get(id);
    if (this.#isOnlyStart()) return this.fail(this.#diverged(id));
    peer?.forgetState();
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
      const peer = this.#reception.get(id);
      if (peer !== undefined) peer.activeAt = this.options.clock.now();
    }
    this.#activity?.start();
  }

  /** Hands pieces of the state to a member that takes its start, or asks whoever has it. */
  #serve(peer: Peer, { generation, step, index, pieces }: Message<Report, "SYNC_GET">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation || step !== this.#position.step) return;
    const at = { epoch: this.epoch, generation, step };
    const wanted = Array.from({ length: pieces }, (_, i) => index + i);
    if (roster.donor !== null) {
      for (const index of wanted) this.#relay.ask(index, peer.id);
      return this.send(roster.donor, { type: "SYNC_GET", ...at, index, pieces });
    }
    for (const index of wanted) {
      const bytes = this.#snapshot?.piece(index);
      if (bytes !== undefined) this.send(peer.id, { type: "SYNC_DATA", ...at, index, bytes });
    }
  }

  #pass({ epoch, generation, step, index, bytes }: Message<Report, "SYNC_DATA">): void {
    const waiting = this.#relay.take(index);
    if (generation !== this.#generation) return;
    for (const id of waiting) this.send(id, { type: "SYNC_DATA", epoch, generation, step, index, bytes });
  }

  #reductionFailed(peer: Peer, { generation, step, code, message, rank }: Message<Report, "FAILED">): void {
    const roster = this.#roster;
    if (roster === null || generation !== roster.generation) return;
    this.options.note("reduction_failed", { id: peer.id, step, code, message });
    const about = rank === null ? null : roster.ids[rank] ?? null;
    this.#failures.add({ by: peer.id, about }, this.now());
  }

  /** The same step once more; with the same members at first, then without whoever is named most. */
  #retry(): void {
    const accused = this.#failures.accused();
    const { generation } = this;
    if (accused !== null) this.#happened({ type: "accused", ...accused });
    if (this.#generation === generation) this.#regroup("the reduction failed");
  }

  #tick(): void {
    const now = this.options.clock.now();
    this.#forgive(ownPause(now, this.#membership));
    this.#happened({ type: "tick" });
    if (this.#ended !== undefined) return;
    if (this.#failures.isDue(now)) this.#retry();
    if (this.#roster === null && !this.#restoring) this.#waitForMore(now);
    else this.#findStall(now);
    this.#activity?.tick?.();
  }

  /** Who leaves a coordinator that was stopped comes back to it, with what it has: who does not is silent. */
  #lostConnection(id: string): void {
    const now = this.now();
    const wasStopped = ownPause(now, this.#membership) > 0 || now - this.#stoppedUntil < RETURN_MS;
    if (wasStopped) return this.options.note("connection_lost", { id });
    this.#happened({ type: "gone", id, how: "its connection ended" });
  }

  /** Nobody is judged by time that this coordinator has missed. */
  #forgive(pause: number): void {
    if (pause > 0) this.#stoppedUntil = this.now();
    for (const peer of this.#reception.peers) peer.activeAt += pause;
    if (this.#tooFewSince !== null) this.#tooFewSince += pause;
  }

  #waitForMore(now: number): void {
    if (this.options.shouldStop?.()) {
      return this.fail(new LockstepError("E_INTERRUPTED", "The run was ended while it waited for workers"));
    }
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
      const peer = this.#reception.get(id);
      if (peer === undefined) return [];
      return [{ id, waitsFor: isForming ? [] : peer.waitsFor, idleMs: now - peer.activeAt }];
    });
    const found = blame(standings);
    if (found !== null) this.#happened({ type: "accused", ...found });
  }
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

/** The run goes on from an earlier step: nobody had the state any more. */
export class WentBack extends Error {
  constructor(readonly step: number) {
    super(`Back to step ${step}`);
  }
}
