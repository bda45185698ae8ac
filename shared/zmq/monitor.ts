import type { Context, Socket } from "./socket.ts";

/** What is told of a socket's connections, by libzmq's numbers (zmq_socket_monitor(3)). */
const EVENTS = {
  /** This side reached the other one; nothing is proved yet. */
  connected: 0x0001,
  /** A connection came in; nothing is proved yet. */
  accepted: 0x0020,
  /** A connection could not be taken in, as when this process has no file descriptor left. */
  acceptFailed: 0x0040,
  /** This side gave up an attempt to connect. */
  closed: 0x0080,
  /** A connection ended. */
  disconnected: 0x0200,
  /** The other side broke off before anything was proved. */
  handshakeFailed: 0x0800,
  /** A connection is complete: messages pass from here on. */
  ready: 0x1000,
  /** The other side speaks another protocol, or another security mechanism. */
  handshakeInvalid: 0x2000,
  /** A key was not admitted; seen by the side whose key it is. */
  refused: 0x4000,
} as const;

export type ConnectionEventKind = keyof typeof EVENTS;

/** Something that happened to a connection. */
export interface ConnectionEvent {
  readonly kind: ConnectionEventKind;
  /** The connection's file descriptor; of a refusal the ZAP status, of other failures the reason's number. */
  readonly value: number;
}

const KINDS = new Map<number, ConnectionEventKind>();
for (const kind in EVENTS) if (isKind(kind)) KINDS.set(EVENTS[kind], kind);

function isKind(text: string): text is ConnectionEventKind {
  return Object.hasOwn(EVENTS, text);
}

/**
 * Tells what happens to the connections of one socket, in order. Events wait without limit until they are taken, so that
 * libzmq's thread never does: whoever watches a socket takes them whenever it looks at the socket.
 */
export class Monitor {
  /** Becomes readable with each event; for a `Poller`. */
  readonly socket: Socket;

  /** `kinds`: what is told; everything if left out. `context` must be the socket's. */
  constructor(
    context: Context,
    { watched, kinds = [...KINDS.values()] }: { watched: Socket; kinds?: readonly ConnectionEventKind[] },
  ) {
    const endpoint = `inproc://monitor-${crypto.randomUUID()}`;
    watched.monitor(endpoint, kinds.reduce((mask, kind) => mask | EVENTS[kind], 0));
    this.socket = context.socket("pair", { linger: 0, rcvHwm: 0 });
    this.socket.connect(endpoint);
  }

  /** The next event, or null if there is none yet. */
  tryReceive(): ConnectionEvent | null {
    for (let frames = this.socket.tryReceive(); frames !== null; frames = this.socket.tryReceive()) {
      const view = new DataView(frames[0].buffer);
      const kind = KINDS.get(view.getUint16(0, true));
      if (kind !== undefined) return { kind, value: view.getInt32(2, true) };
    }
    return null;
  }

  /** Stops listening; the watched socket goes on. */
  close(): void {
    this.socket.close();
  }
}
