import type { Message, Order, Report } from "../shared/protocol/messages.ts";
import type { Session } from "../shared/protocol/session.ts";
import type { MemberInfo } from "./member_info.ts";
import type { Position, StepDecision } from "./position.ts";

/** CPU time between two BEATs above which a worker computes, in ms. */
const BUSY_MS = 50;

export interface PeerOptions {
  readonly id: string;
  readonly session: Session<Order, Report>;
  readonly hello: Message<Report, "HELLO">;
  /** Where others reach it. */
  readonly address: string;
  readonly now: number;
}

/** A worker in a session, and what it has said of itself. */
export class Peer {
  readonly id: string;
  readonly session: Session<Order, Report>;
  readonly hello: Message<Report, "HELLO">;
  readonly address: string;
  info: MemberInfo | null = null;
  /** Members that its reduction waits for. */
  waitsFor: readonly string[] = [];
  cpuMs = 0;
  /** Frames of others, or of the past, that it has not taken in this generation. */
  dropped = 0;
  /** When it computed or moved anything last. */
  activeAt: number;
  #moved = 0;
  #applied: number | null;
  #stateHash: string | null;
  #prepared: { readonly step: number; readonly gradHash: string } | null;

  constructor({ id, session, hello, address, now }: PeerOptions) {
    this.id = id;
    this.session = session;
    this.hello = hello;
    this.address = address;
    this.activeAt = now;
    this.#applied = hello.applied;
    this.#stateHash = hello.stateHash;
    this.#prepared = hello.prepared;
  }

  /** Takes a BEAT: progress is whatever it has moved, or more than a little CPU time. */
  beat({ moved, dropped, cpuMs }: Message<Report, "BEAT">, now: number): void {
    if (moved !== this.#moved || cpuMs - this.cpuMs > BUSY_MS) this.activeAt = now;
    [this.#moved, this.dropped, this.cpuMs] = [moved, dropped, cpuMs];
  }

  /** It has the state of a boundary. */
  hasReached({ step, stateHash }: { step: number; stateHash: string }): void {
    [this.#applied, this.#stateHash, this.#prepared] = [step, stateHash, null];
  }

  hasPrepared(prepared: { readonly step: number; readonly gradHash: string }): void {
    this.#prepared = prepared;
  }

  /** Its state counts no more. */
  forgetState(): void {
    this.#applied = this.#stateHash = null;
  }

  get stateHash(): string | null {
    return this.#stateHash;
  }

  /** Whether its state is that of a boundary; any state of the right step where the hash is not known. */
  isAt({ step, stateHash }: Position): boolean {
    return this.#applied === step && (stateHash === null || this.#stateHash === stateHash);
  }

  /** Whether it has the state of a boundary, or can have it by applying what is decided. */
  canReach(position: Position, decided: StepDecision | null): boolean {
    if (this.isAt(position)) return true;
    return decided !== null && decided.step === position.step - 1 && this.#applied === decided.step &&
      this.#prepared?.step === decided.step && this.#prepared.gradHash === decided.gradHash;
  }
}
