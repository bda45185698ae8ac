import { LockstepError } from "../../shared/errors.ts";
import { curveClient, curveServer, type KeyPair } from "../../shared/zmq/curve.ts";
import { Poller } from "../../shared/zmq/poller.ts";
import { Context, type Socket } from "../../shared/zmq/socket.ts";
import type { SocketOptions } from "../../shared/zmq/socket_options.ts";
import { ZapHandler } from "../../shared/zmq/zap.ts";
import type { Link, LinkInterest, Links } from "./link.ts";
import { PairSocket } from "./pair_socket.ts";

/** How often a pair of one host that is not connected yet is tried again, in ms: members form at slightly different times. */
const RETRY_MS = 5;

/** Of every connection between hosts: a link that is down is noticed within 4 s, and a frame is 256 KiB at most. */
const BETWEEN_HOSTS: SocketOptions = {
  reconnectIvl: -1,
  heartbeatIvl: 1_000,
  heartbeatTimeout: 3_000,
  handshakeIvl: 5_000,
  maxMsgSize: (256 << 10) + 1_024, // encryption adds 33 bytes
};

/** Where the members of a generation are reached. */
export interface ZmqLinksOptions {
  rank: number;
  generation: number;
  /**
   * By rank: an `ipc://` path, to which pairs add a suffix of at most 16 characters.
   */
  endpoints: readonly string[];
  /** The ranks that this member has links to; all if not given. */
  peers?: ReadonlySet<number>;
  /** By rank: members of one name are on one host, others are linked over tcp. Left out, all are on one. */
  hosts?: readonly string[];
  /** For members on other hosts. */
  tcp?: TcpLinks;
}

/** How members of other hosts are linked. */
export interface TcpLinks {
  /** The address on which this member listens: `127.0.0.1`, or `*` for all. */
  readonly bind: string;
  /** This member's own keys for the run, and by rank the public keys of all; null does without, for an insecure run. */
  readonly keys: { readonly own: KeyPair; readonly publicKeys: readonly string[] } | null;
}

/** Links over sockets. */
export interface ZmqLinks extends Links {
  /** By rank: the TCP port on which this member waits for that one, to be told to it; 0 where it waits for none. */
  readonly ports: readonly number[];
  /**
   * Connects to members of other hosts: by rank, `tcp://HOST:PORT` with the port on which that one waits for this one.
   * Entries of members that are reached otherwise are not looked at. Throws E_ZMQ for a malformed endpoint.
   */
  connect(endpoints: readonly string[]): void;
}

/**
 * A pair of ZeroMQ sockets for each pair of members: the lower rank listens, the higher connects. Members of one host are
 * linked at once; between hosts each member has first to be told the ports of the others (`ports`, `connect`). Endpoints
 * belong to a generation, so that nothing of an earlier one can arrive. Between hosts only the member for which a port was
 * opened is admitted there, by its key. A link that is lost stays lost: see `PairSocket`. Throws E_ZMQ if a socket cannot
 * be made, and E_KEY for members of other hosts without `tcp`.
 */
export function zmqLinks(options: ZmqLinksOptions): ZmqLinks {
  return new SocketLinks(options);
}

class SocketLinks implements ZmqLinks {
  readonly ports: number[];
  readonly #context = new Context();
  readonly #pairs = new Map<number, PairSocket>();
  readonly #poller: Poller;
  readonly #doorkeeper: Doorkeeper | null;

  constructor(private readonly options: ZmqLinksOptions) {
    const { endpoints, rank, peers, tcp } = options;
    this.ports = endpoints.map(() => 0);
    this.#doorkeeper = tcp?.keys === undefined || tcp.keys === null
      ? null
      : new Doorkeeper(this.#context, tcp.keys.publicKeys);
    for (let peer = 0; peer < endpoints.length; peer++) {
      if (peer === rank || peers?.has(peer) === false) continue;
      this.#pairs.set(
        peer,
        this.#isOnOneHost(peer) ? this.#onOneHost(peer) : this.#remote(peer),
      );
    }
    this.#poller = new Poller(this.#context);
  }

  get byRank(): ReadonlyMap<number, Link> {
    return this.#pairs;
  }

  #isOnOneHost(peer: number): boolean {
    const { hosts, rank } = this.options;
    return hosts === undefined || hosts[peer] === hosts[rank];
  }

  #onOneHost(peer: number): PairSocket {
    const { rank, generation, endpoints } = this.options;
    const [low, high] = [Math.min(rank, peer), Math.max(rank, peer)];
    const listens = rank === low;
    const pair = new PairSocket(this.#context, {
      peer,
      listens,
      retries: true,
      socket: { reconnectIvl: RETRY_MS },
    });
    const endpoint = `${endpoints[low]}-${generation}-${high}`;
    if (listens) pair.socket.bind(endpoint);
    else pair.socket.connect(endpoint);
    return pair;
  }

  /** Listens for a higher rank; a lower one is connected to once its port is known. */
  #remote(peer: number): PairSocket {
    const { rank, tcp } = this.options;
    if (tcp === undefined) {
      throw new LockstepError(
        "E_KEY",
        `Cannot link rank ${rank} to rank ${peer} on another host as this member has no keys for that`,
      );
    }
    const { bind, keys } = tcp;
    const listens = rank < peer;
    const security = keys === null
      ? {}
      : listens
      ? curveServer(keys.own, { domain: String(peer) })
      : curveClient(keys.own, keys.publicKeys[peer]);
    const socket = { ...BETWEEN_HOSTS, ...security };
    const pair = new PairSocket(this.#context, { peer, listens, retries: false, socket });
    if (listens) this.ports[peer] = Number(pair.socket.bind(`tcp://${bind}:*`).split(":").pop());
    return pair;
  }

  connect(endpoints: readonly string[]): void {
    const { rank } = this.options;
    for (const [peer, { socket }] of this.#pairs) {
      if (peer < rank && !this.#isOnOneHost(peer)) socket.connect(endpoints[peer]);
    }
  }

  async wait({ from, to }: LinkInterest): Promise<void> {
    if (this.#hasLost([...from, ...to])) return; // the next use says so
    const socketsOf = (ranks: readonly number[]): Socket[] =>
      ranks.flatMap((peer) => this.#pairs.get(peer)?.socket ?? []);
    const news = [...this.#pairs.values()].map((pair) => pair.news);
    await this.#poller.wait(-1, { readable: [...socketsOf(from), ...news], writable: socketsOf(to) });
    for (const pair of this.#pairs.values()) pair.watch();
  }

  #hasLost(ranks: readonly number[]): boolean {
    for (const pair of this.#pairs.values()) pair.watch();
    return ranks.some((peer) => this.#pairs.get(peer)?.isLost);
  }

  wake(): void {
    this.#poller.wake();
  }

  async close(): Promise<void> {
    await this.#doorkeeper?.close();
    await this.#poller.close();
    await this.#context.close();
  }
}

/** Lets each member in by the port that was opened for it, at any time: also while nobody waits for frames. */
class Doorkeeper {
  readonly #zap: ZapHandler;
  readonly #poller: Poller;
  readonly #serving: Promise<void>;
  #closing = false;

  /** `publicKeys`: by rank; a socket's ZAP domain is the rank that it is for. */
  constructor(context: Context, publicKeys: readonly string[]) {
    this.#zap = new ZapHandler(
      context,
      ({ domain, publicKey }) =>
        publicKey !== null && publicKey === publicKeys[Number(domain)] ? "member" : null,
    );
    this.#poller = new Poller(context);
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    while (!this.#closing) {
      this.#zap.answer();
      await this.#poller.wait(-1, { readable: [this.#zap.socket] });
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#poller.wake();
    await this.#serving;
    await this.#poller.close();
  }
}
