import project from "../deno.json" with { type: "json" };
import type { Clock } from "../shared/clock.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import type { DataFile } from "../shared/data/data_files.ts";
import { LockstepError } from "../shared/errors.ts";
import type { CoordinatorServer, Received } from "../shared/protocol/channel.ts";
import type { FromWorker, Message, Order, Report } from "../shared/protocol/messages.ts";
import { Session } from "../shared/protocol/session.ts";
import { Peer } from "./peer.ts";
import { scratchCapacity } from "./plan.ts";

/** What a reception needs to know of its run. */
export interface ReceptionOptions {
  readonly server: CoordinatorServer;
  readonly clock: Clock;
  readonly epoch: number;
  readonly config: RunConfig;
  readonly configHash: string;
  /** The run's name, for workers that say which run they mean to join; null takes any. */
  readonly runId?: string | null;
  /** False for members that only evaluate. */
  readonly trains: boolean;
  readonly maxMembers: number;
  /** Where other hosts reach workers of this one; the loopback address if left out. */
  readonly address?: string;
  /** Prepared text that the run reads. */
  readonly files?: readonly DataFile[];
  /** A piece of one of them; empty after its end. */
  readData?(file: string, index: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Told of what a person may want to change. */
  warn?(sentence: string): void;
  /** What was refused, and whose session is over. */
  note(event: string, fields: Record<string, unknown>): void;
}

/** Whom a reception tells. */
export interface ReceptionEvents {
  /** A worker's session has ended, as it begins another one. */
  replaced(id: string): void;
  /** A worker has begun a session. */
  joined(peer: Peer): void;
  /** A worker was heard, whatever it said. */
  heard(id: string): void;
  /** What a worker says, once and in order. */
  report(peer: Peer, report: Report): void;
  /** Nothing can be received any more. */
  failed(error: unknown): void;
}

const LOOPBACK = "127.0.0.1";
const LOOPBACK_NET = "127.";

/** The workers that are in a session with this coordinator: begins sessions, receives and sends in them, ends them. */
export class Reception {
  readonly #peers = new Map<string, Peer>();
  #farewell: Message<Order, "DRAIN"> | null = null;

  constructor(private readonly options: ReceptionOptions, private readonly events: ReceptionEvents) {}

  get(id: string): Peer | undefined {
    return this.#peers.get(id);
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Ends a worker's session: what it still sends is answered with E_STALE. */
  dismiss(id: string): void {
    this.#peers.delete(id);
  }

  send(id: string, order: Order): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.options.server.send(id, peer.session.seal(order, this.options.clock.now()));
  }

  /** Answers a BEAT. */
  beat({ id, session }: Peer): void {
    this.options.server.send(id, session.sealLoose({ type: "BEAT" }));
  }

  /** Sends all home, and whoever comes from now on. */
  sendHome(stopped: boolean): void {
    this.#farewell = { type: "DRAIN", stopped };
    for (const id of this.#peers.keys()) this.send(id, this.#farewell);
  }

  /** Receives until the server closes. */
  async listen(): Promise<void> {
    try {
      for (;;) {
        const received = await this.options.server.receive();
        if (received === null) return;
        if (received.role !== "admin") this.#receive(received);
      }
    } catch (error) {
      this.events.failed(error);
    }
  }

  #receive({ from, address, message }: Received): void {
    const known = this.#peers.get(from);
    if (known?.session.id !== message.session) {
      return message.type === "HELLO" && message.seq === 1
        ? this.#greet(from, { hello: message, address })
        : this.#refuse(from, message);
    }
    this.events.heard(from);
    const isNew = known.session.accept(message);
    const overdue = known.session.overdue(this.options.clock.now());
    for (const sealed of overdue) this.options.server.send(from, sealed);
    if (!isNew) return;
    if (message.type === "DATA_GET") this.#giveData(from, message);
    else this.events.report(known, message);
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
    const { server, clock, note } = this.options;
    const other = this.#peers.get(id);
    const refusal = this.#refusalOf(hello, other);
    if (refusal !== null) {
      const { code, message } = refusal;
      note("refused", { id, code, message });
      this.options.warn?.(`${id} takes no part: ${code}: ${message}`);
      server.send(id, { type: "ERROR", session: hello.session, seq: 0, ack: 0, code, message });
      return;
    }
    const session = new Session<Order, Report>(hello.session);
    session.accept(hello);
    if (this.#farewell !== null) return void server.send(id, session.seal(this.#farewell, clock.now()));
    // From here a worker on this machine is seen at an address that others cannot reach.
    const address = seen === null || seen.startsWith(LOOPBACK_NET) ? this.options.address ?? LOOPBACK : seen;
    if (this.#peers.delete(id)) this.events.replaced(id);
    const peer = new Peer({ id, session, hello, address, now: clock.now() });
    this.#peers.set(id, peer);
    this.events.joined(peer);
    this.send(id, this.#config());
  }

  /** Why a worker cannot join; null if it can. */
  #refusalOf(
    { id, version, run, pid, host }: Message<Report, "HELLO">,
    other: Peer | undefined,
  ): LockstepError | null {
    const { runId = null } = this.options;
    if (version !== project.version) {
      return new LockstepError(
        "E_VERSION",
        `Cannot take ${id} as its Lockstep is ${version} and this run's ${project.version}: install the same`,
      );
    }
    if (run !== null && runId !== null && run !== runId) {
      return new LockstepError(
        "E_RUN",
        `Cannot take ${id} as it wants to join the run ${run}: this one is ${runId}`,
      );
    }
    if (other !== undefined && (other.hello.pid !== pid || other.hello.host !== host)) {
      return new LockstepError(
        "E_DUPLICATE_ID",
        `Cannot take a second ${id}: one is a member already; choose another --id`,
      );
    }
    return null;
  }

  #config(): Message<Order, "CONFIG"> {
    const { epoch, config, configHash, files = [], trains, maxMembers } = this.options;
    return {
      type: "CONFIG",
      ...{ epoch, config: { ...config }, configHash, files: [...files], trains },
      scratchGradients: scratchCapacity(config.gradient_accumulation_steps, maxMembers),
    };
  }

  async #giveData(id: string, { file, index }: Message<Report, "DATA_GET">): Promise<void> {
    try {
      const bytes = await this.options.readData?.(file, index);
      if (bytes !== undefined) this.send(id, { type: "DATA_PART", file, index, bytes });
    } catch (error) {
      if (!(error instanceof LockstepError)) return this.events.failed(error);
      this.send(id, { type: "ERROR", code: error.code, message: error.message });
    }
  }
}
