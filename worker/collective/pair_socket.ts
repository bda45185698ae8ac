import { Monitor } from "../../shared/zmq/monitor.ts";
import type { Context, Socket } from "../../shared/zmq/socket.ts";
import type { SocketOptions } from "../../shared/zmq/socket_options.ts";
import type { Bytes, Link, Received } from "./link.ts";
import { LinkLost } from "./link_lost.ts";

/** Frames that wait for one peer on each side. */
const QUEUED_FRAMES = 8;

const CONNECTING = [
  "ready",
  "disconnected",
  "closed",
  "refused",
  "handshakeInvalid",
  "handshakeFailed",
] as const;
const LISTENING = ["accepted", "ready", "disconnected"] as const;

export interface PairSocketOptions {
  /** The peer's rank. */
  readonly peer: number;
  /** Whether this side waits for the peer to connect. */
  readonly listens: boolean;
  /** Whether an attempt to connect is made again where it fails, as long as there has been no connection. */
  readonly retries: boolean;
  readonly socket: SocketOptions;
}

/**
 * The link to one peer: a PAIR socket that has one connection in its life. Once that has ended, what had come is still
 * there to be taken; then every use throws `LinkLost`.
 */
export class PairSocket implements Link {
  readonly socket: Socket;
  readonly #monitor: Monitor;
  /** Connections that came in before the peer's was complete: one of them is the peer's. */
  readonly #candidates = new Set<number>();
  #isReady = false;
  #isLost = false;

  constructor(context: Context, private readonly options: PairSocketOptions) {
    this.socket = context.socket("pair", {
      linger: 0,
      sndHwm: QUEUED_FRAMES,
      rcvHwm: QUEUED_FRAMES,
      ...options.socket,
    });
    const kinds = options.listens ? LISTENING : CONNECTING;
    this.#monitor = new Monitor(context, { watched: this.socket, kinds });
  }

  /** Becomes readable when `watch` has something to do. */
  get news(): Socket {
    return this.#monitor.socket;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Takes in what has happened to the connection. */
  watch(): void {
    for (let event = this.#monitor.tryReceive(); event !== null; event = this.#monitor.tryReceive()) {
      if (event.kind === "ready") this.#isReady = true;
      else if (this.options.listens) this.#watchListening(event.kind, event.value);
      else if (this.#isReady ? event.kind === "disconnected" : !this.options.retries) this.#isLost = true;
    }
  }

  /** Strangers may connect too; they never become ready, and those that come later are not the peer. */
  #watchListening(kind: string, descriptor: number): void {
    if (kind === "accepted" && !this.#isReady) this.#candidates.add(descriptor);
    if (kind === "disconnected") this.#candidates.delete(descriptor);
    if (this.#isReady && this.#candidates.size === 0) this.#isLost = true;
  }

  trySend(header: Bytes, payload: Bytes): boolean {
    this.#check();
    return this.socket.trySend([header, payload]);
  }

  tryReceive(header: Bytes, place: (headerBytes: number) => Bytes | null): Received | null {
    const received = this.socket.tryReceiveInto(header, place);
    if (received === null) this.#check();
    return received;
  }

  #check(): void {
    if (this.#isLost) throw new LinkLost(this.options.peer);
  }
}
