import { type ErrorCode, LockstepError } from "../shared/errors.ts";
import type { CoordinatorKeys, MemberRole } from "../shared/keys.ts";
import type { CoordinatorServer, Received } from "../shared/protocol/channel.ts";
import { decodeFromWorker, encodeFrames, encodeMessage } from "../shared/protocol/codec.ts";
import { controlSocketOptions, isTcp, WAITING_MESSAGES } from "../shared/protocol/control_socket.ts";
import { farewellFrame, isFarewell } from "../shared/protocol/farewell.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import { NO_SESSION, type ToWorker } from "../shared/protocol/messages.ts";
import { memberIdOf } from "../shared/protocol/routing_id.ts";
import { curveServer } from "../shared/zmq/curve.ts";
import { createIpcDirectory, type IpcDirectory } from "../shared/zmq/ipc_directory.ts";
import { Monitor } from "../shared/zmq/monitor.ts";
import { proveRefusal } from "../shared/zmq/prove_refusal.ts";
import { shutdownConnection } from "../shared/zmq/shutdown_connection.ts";
import { Context, type Frame, type MessageSource, type Socket } from "../shared/zmq/socket.ts";
import { SocketLoop } from "../shared/zmq/socket_loop.ts";
import { ZapHandler } from "../shared/zmq/zap.ts";
import { Peers } from "./peers.ts";

/** A `CoordinatorServer` on a socket. */
export interface ControlServer extends CoordinatorServer {
  /**
   * What was refused, by code: messages, by the code that their senders were told, and as E_KEY connections that ended
   * without a message, as those of strangers do.
   */
  readonly refused: ReadonlyMap<ErrorCode, number>;
  /** Admits a key from now on. Does nothing where no keys are used. */
  allow(publicKey: string, role: MemberRole): void;
  /** Refuses a key from now on, and ends its connections. */
  deny(publicKey: string): void;
  /** Ends the connection of a member, which may come back. */
  disconnect(id: string): void;
}

/** How a control server listens. */
export interface ControlServerOptions {
  /** `tcp://ADDRESS:PORT` (`*` for a free port) or `ipc://PATH`; left out, a socket that only this user can reach. */
  endpoint?: string;
  /** The coordinator's keys and those that it admits; needed over tcp, not used over ipc. */
  keys?: CoordinatorKeys;
  /** Listens over tcp without keys: whoever reaches the port can read, change and end the run. */
  insecure?: boolean;
}

const DOMAIN = "control"; // of the questions to the ZAP handler

/**
 * Listens for workers and admins: over tcp for those whose keys `keys` admits, which is proved with a stranger's key before
 * this resolves; over ipc for processes of this user and root. A message that cannot be read is refused with an ERROR to
 * its sender and goes no further. Rejects with `LockstepError` E_KEY for tcp without keys, unless `insecure`, and where
 * strangers are not refused; with E_ZMQ if libzmq cannot be loaded or the endpoint cannot be bound.
 */
export async function openControlServer(options: ControlServerOptions = {}): Promise<ControlServer> {
  const directory = options.endpoint === undefined ? createIpcDirectory() : null;
  const endpoint = options.endpoint ?? directory?.endpoint(DOMAIN) ?? "";
  const keys = isTcp(endpoint) ? options.keys : undefined;
  checkKeys(endpoint, options);
  const server = await listen(endpoint, { keys, directory });
  try {
    if (keys !== undefined) await server.prove(keys.publicKey);
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function listen(
  endpoint: string,
  { keys, directory }: { keys: CoordinatorKeys | undefined; directory: IpcDirectory | null },
): Promise<RouterServer> {
  const context = new Context();
  try {
    const peers = new Peers({ keys: keys === undefined ? null : rolesOf(keys) });
    const zap = new ZapHandler(context, (request) => peers.admit(request));
    const socket = context.socket("router", {
      ...controlSocketOptions(endpoint),
      routerMandatory: true,
      routerHandover: true, // names hold a secret of their process, so only that one can take them over
      ...(keys === undefined
        ? { zapDomain: DOMAIN, zapEnforceDomain: true }
        : curveServer(keys, { domain: DOMAIN })),
    });
    const monitor = new Monitor(context, { watched: socket, kinds: ["accepted", "disconnected"] });
    const bound = socket.bind(endpoint);
    return new RouterServer(bound, { context, socket, directory, peers, zap, monitor });
  } catch (error) {
    await context.close();
    directory?.remove();
    if (!(error instanceof LockstepError) || !/already in use/.test(error.message)) throw error;
    throw new LockstepError(
      "E_ZMQ",
      `Cannot listen on ${endpoint} as another program does, the port is in use: end it, or choose another port ` +
        "with --rdzv_endpoint or --master_port",
    );
  }
}

function checkKeys(endpoint: string, { keys, insecure = false }: ControlServerOptions): void {
  if (!isTcp(endpoint) || keys !== undefined || insecure) return;
  throw new LockstepError(
    "E_KEY",
    `Cannot listen on ${endpoint} without keys as others could read and change the run: make some with lockstep keygen`,
  );
}

function rolesOf({ workers, admins }: CoordinatorKeys): Map<string, MemberRole> {
  const role = (of: MemberRole) => (key: string): [string, MemberRole] => [key, of];
  return new Map([...workers.map(role("worker")), ...admins.map(role("admin"))]);
}

interface ServerParts {
  context: Context;
  socket: Socket;
  directory: IpcDirectory | null;
  peers: Peers;
  zap: ZapHandler;
  monitor: Monitor;
}

class RouterServer implements ControlServer {
  readonly refused = new Map<ErrorCode, number>();
  onGone?: (from: string) => void;
  onAdmin?: CoordinatorServer["onAdmin"];
  readonly #inbox = new Inbox<Received>();
  readonly #loop: SocketLoop;
  readonly #directory: IpcDirectory | null;
  readonly #peers: Peers;
  readonly #monitor: Monitor;
  readonly #toEnd: (() => number[])[] = [];
  /** Resolves when the connection of the stranger's key that is tried at the start has ended: it is not counted. */
  #proof: PromiseWithResolvers<void> | null = null;
  #closed: Promise<void> | null = null;
  /** Workers that have an ERROR on its way: one that does not read gets no more of them. */
  readonly #beingRefused = new Set<string>();
  /** Messages of admins whose answer is under way. */
  #beingServed = 0;

  constructor(
    readonly endpoint: string,
    { context, socket, directory, peers, zap, monitor }: ServerParts,
  ) {
    this.#directory = directory;
    this.#peers = peers;
    this.#monitor = monitor;
    this.#loop = new SocketLoop({ context, socket }, {
      sides: [
        { socket: monitor.socket, attend: () => this.#watch() },
        { socket: zap.socket, attend: () => zap.answer() },
      ],
      deliver: ([name, ...frames], source) => this.#deliver(name, { frames, source }),
      drained: () => peers.takeGone().forEach((id) => this.#tellGone(id)),
      hasRoom: () => this.#inbox.size < WAITING_MESSAGES,
      fail: (error) => this.#inbox.fail(error),
    });
  }

  /** Makes sure that a stranger's key is refused. */
  async prove(serverKey: string): Promise<void> {
    this.#proof = Promise.withResolvers();
    await proveRefusal(this.endpoint, { serverKey });
    await this.#proof.promise;
    this.#proof = null;
  }

  send(to: string, message: ToWorker): Promise<void> {
    const name = this.#peers.routingIdOf(to);
    return name === undefined ? Promise.resolve() : this.#sendTo(name, ...encodeFrames(message));
  }

  #sendTo(name: string, ...frames: readonly Frame[]): Promise<void> {
    return this.#loop.send(name, [new TextEncoder().encode(name), ...frames]);
  }

  receive(): Promise<Received | null> {
    if (this.#inbox.size >= WAITING_MESSAGES) this.#loop.wake();
    return this.#inbox.receive();
  }

  allow(publicKey: string, role: MemberRole): void {
    this.#peers.allow(publicKey, role);
  }

  deny(publicKey: string): void {
    this.#peers.deny(publicKey);
    this.#endLater(() => this.#peers.descriptorsOf((peer) => peer.publicKey === publicKey));
  }

  disconnect(id: string): void {
    this.#endLater(() => this.#peers.descriptorsOf((peer) => peer.id === id));
  }

  /** Ends the connections that `find` names once all events so far are known, so that none is another's by then. */
  #endLater(find: () => number[]): void {
    this.#toEnd.push(find);
    this.#loop.wake();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#inbox.close();
    await this.#loop.close();
    this.#directory?.remove();
  }

  /** Takes in what has happened to connections. */
  #watch(): void {
    const excess: number[] = [];
    for (let event = this.#monitor.tryReceive(); event !== null; event = this.#monitor.tryReceive()) {
      if (event.kind === "accepted") excess.push(...this.#peers.opened(event.value, performance.now()));
      else if (this.#peers.ended(event.value)) this.#countStranger();
    }
    for (const descriptor of excess.filter((each) => this.#peers.isOpen(each))) {
      shutdownConnection(descriptor);
      this.#countStranger();
    }
    for (const find of this.#toEnd.splice(0)) find().forEach(shutdownConnection);
  }

  #countStranger(): void {
    if (this.#proof === null) this.#count("E_KEY");
    else this.#proof.resolve();
  }

  #deliver(name: Frame, { frames, source }: { frames: Frame[]; source: MessageSource }): void {
    const routingId = new TextDecoder().decode(name);
    this.#watch(); // whether the connection of this message is the one that had its descriptor before
    try {
      const { id, role, address, replaces } = this.#peers.identify(routingId, source);
      if (replaces) this.#tellGone(id);
      if (frames.length === 1 && isFarewell(frames[0])) this.#sendTo(routingId, farewellFrame());
      else if (role === "admin" && this.onAdmin !== undefined && frames.length === 1) {
        if (this.#beingServed >= WAITING_MESSAGES) return; // nobody types so fast
        this.#serveAdmin(this.onAdmin(frames[0], { address }), routingId);
      } else this.#inbox.push({ from: id, role, address, message: decodeFromWorker(...frames) });
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      this.#refuse(routingId, error);
    }
  }

  async #serveAdmin(answer: Promise<Frame>, routingId: string): Promise<void> {
    this.#beingServed++;
    await this.#sendTo(routingId, await answer);
    this.#beingServed--;
  }

  #tellGone(id: string): void {
    this.#inbox.notify(() => this.onGone?.(id));
  }

  async #refuse(routingId: string, { code, message }: LockstepError): Promise<void> {
    this.#count(code);
    if (memberIdOf(routingId) === null || this.#beingRefused.has(routingId)) return;
    this.#beingRefused.add(routingId);
    await this.#sendTo(routingId, encodeMessage({ type: "ERROR", ...NO_SESSION, code, message }));
    this.#beingRefused.delete(routingId);
  }

  #count(code: ErrorCode): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}
