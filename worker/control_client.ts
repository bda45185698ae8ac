import { LockstepError } from "../shared/errors.ts";
import type { MemberKeys } from "../shared/keys.ts";
import type { WorkerChannel } from "../shared/protocol/channel.ts";
import { decodeToWorker, encodeFrames } from "../shared/protocol/codec.ts";
import { controlSocketOptions, isTcp, WAITING_MESSAGES } from "../shared/protocol/control_socket.ts";
import { farewellFrame, isFarewell } from "../shared/protocol/farewell.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import type { FromWorker, ToWorker } from "../shared/protocol/messages.ts";
import { makeRoutingId } from "../shared/protocol/routing_id.ts";
import { curveClient } from "../shared/zmq/curve.ts";
import { Monitor } from "../shared/zmq/monitor.ts";
import { Context, type Frame, type Socket } from "../shared/zmq/socket.ts";
import { SocketLoop } from "../shared/zmq/socket_loop.ts";

/** How a worker or an admin connects. */
export interface ControlClientOptions {
  /** Its name in the run, which must be its alone. */
  id: string;
  /** Its keys and the coordinator's public one; needed over tcp, not used over ipc. */
  keys?: MemberKeys;
  /** Connects over tcp without keys. */
  insecure?: boolean;
}

const COORDINATOR = "coordinator";
const RECONNECT_MS = 50, RECONNECT_MAX_MS = 1_000;
const FAREWELL_MS = 1_000; // how long closing waits until all has been received
const WATCHED = ["ready", "disconnected", "refused", "handshakeFailed", "handshakeInvalid"] as const;
const OTHER_KEYS = "it uses other keys, or none: give both sides the run's keys";
/** So many connections in a row that end before anything is proved are no accident. */
const MOST_FAILURES = 4;

/**
 * Connects to the coordinator at `endpoint`. Also succeeds, and waits, while nobody listens there: what is sent before
 * there has been a connection waits with it. `receive` rejects with E_KEY where the coordinator refuses the key. Rejects
 * with `LockstepError` E_KEY for tcp without keys, unless `insecure`; E_ZMQ if libzmq cannot be loaded or the endpoint is
 * malformed.
 */
export async function openControlClient(
  endpoint: string,
  { id, keys, insecure = false }: ControlClientOptions,
): Promise<WorkerChannel> {
  if (isTcp(endpoint) && keys === undefined && !insecure) {
    throw new LockstepError(
      "E_KEY",
      `Cannot connect to ${endpoint} without keys: give the run's with --keys, or --insecure if it has none`,
    );
  }
  const context = new Context();
  try {
    const socket = context.socket("dealer", {
      ...controlSocketOptions(endpoint),
      routingId: makeRoutingId(id),
      reconnectIvl: RECONNECT_MS,
      reconnectIvlMax: RECONNECT_MAX_MS,
      ...(isTcp(endpoint) && keys !== undefined ? curveClient(keys, keys.coordinator) : {}),
    });
    const monitor = new Monitor(context, { watched: socket, kinds: WATCHED });
    socket.connect(endpoint);
    return new DealerClient(endpoint, { context, socket, monitor });
  } catch (error) {
    await context.close();
    throw error;
  }
}

class DealerClient implements WorkerChannel {
  onGone?: () => void;
  onReconnected?: () => void;
  readonly #inbox = new Inbox<ToWorker>();
  readonly #loop: SocketLoop;
  readonly #monitor: Monitor;
  #state: "connecting" | "connected" | "gone" = "connecting";
  /** Handshakes that have failed before there was a connection. */
  #failures = 0;
  /** What has happened to the connection and is told once everything has been received that came before. */
  readonly #untold: (() => void)[] = [];
  /** Resolves when the coordinator has received everything, or never will. */
  readonly #parted = Promise.withResolvers<void>();
  #closed: Promise<void> | null = null;

  constructor(
    private readonly endpoint: string,
    { context, socket, monitor }: { context: Context; socket: Socket; monitor: Monitor },
  ) {
    this.#monitor = monitor;
    this.#loop = new SocketLoop({ context, socket }, {
      sides: [{ socket: monitor.socket, attend: () => this.#watch() }],
      deliver: (frames) => this.#deliver(frames),
      drained: () => this.#untold.splice(0).forEach((tell) => this.#inbox.notify(tell)),
      hasRoom: () => this.#inbox.size < WAITING_MESSAGES,
      fail: (error) => {
        this.#inbox.fail(error);
        this.#parted.resolve();
      },
      singlePeer: true,
    });
  }

  send(message: FromWorker): Promise<void> {
    if (this.#state === "gone" || this.#closed !== null) return Promise.resolve();
    return this.#loop.send(COORDINATOR, encodeFrames(message));
  }

  receive(): Promise<ToWorker | null> {
    if (this.#inbox.size >= WAITING_MESSAGES) this.#loop.wake();
    return this.#inbox.receive();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#inbox.close();
    if (this.#state !== "gone") {
      const timer = setTimeout(this.#parted.resolve, FAREWELL_MS);
      this.#loop.send(COORDINATOR, [farewellFrame()]);
      await this.#parted.promise;
      clearTimeout(timer);
      this.#loop.drop();
    }
    await this.#loop.close();
  }

  /** Takes in what has happened to the connection. */
  #watch(): void {
    for (let event = this.#monitor.tryReceive(); event !== null; event = this.#monitor.tryReceive()) {
      if (event.kind === "ready") this.#connected();
      else if (event.kind === "disconnected") this.#disconnected();
      else if (event.kind === "handshakeFailed") this.#failed();
      else {
        this.#refused(
          event.kind === "refused" ? "it does not admit this key" : OTHER_KEYS,
        );
      }
    }
  }

  #connected(): void {
    if (this.#state === "gone") this.#untold.push(() => this.onReconnected?.());
    this.#state = "connected";
  }

  #disconnected(): void {
    if (this.#state !== "connected") return;
    this.#lose();
    this.#untold.push(() => this.onGone?.());
  }

  /** Whoever listens there breaks off: it does not have the secret key that belongs to the public one given here. */
  #failed(): void {
    if (this.#state !== "connecting" || ++this.#failures < MOST_FAILURES) return;
    this.#refused(OTHER_KEYS);
  }

  #refused(reason: string): void {
    this.#lose();
    this.#inbox.fail(
      new LockstepError("E_KEY", `Cannot join the coordinator at ${this.endpoint} as ${reason}`),
    );
  }

  #lose(): void {
    this.#state = "gone";
    this.#loop.drop();
    this.#parted.resolve();
  }

  #deliver(frames: Frame[]): void {
    if (isFarewell(frames[0])) return this.#parted.resolve();
    try {
      this.#inbox.push(decodeToWorker(...frames));
    } catch (error) {
      this.#inbox.fail(error);
    }
  }
}
