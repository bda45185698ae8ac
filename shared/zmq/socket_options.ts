/** Options of a socket, named after libzmq's (zmq_setsockopt(3)); what is left out keeps libzmq's default. */
export interface SocketOptions {
  /** The name under which a router knows this socket, 1 … 255 bytes. */
  routingId?: string;
  /** How long closing waits for unsent messages, in ms; −1: for ever. */
  linger?: number;
  /** Messages queued for each peer before sending is refused; 0: no limit. */
  sndHwm?: number;
  /** Messages queued from each peer before it is held back; 0: no limit. */
  rcvHwm?: number;
  /** Largest frame in bytes that is read; a peer that sends a larger one is disconnected. */
  maxMsgSize?: number;
  /** A router refuses messages for unknown or full peers instead of dropping them. */
  routerMandatory?: boolean;
  /** Queues messages only for connections that are complete. */
  immediate?: boolean;
  /** Delay before a lost connection is tried again, in ms; −1: never. */
  reconnectIvl?: number;
  /** Longest delay between such tries, in ms: it doubles up to this; 0: it stays `reconnectIvl`. */
  reconnectIvlMax?: number;
  /** Time that a connection has to prove itself, in ms. */
  handshakeIvl?: number;
  /** Connections that wait to be accepted. */
  backlog?: number;
  /** A router gives a name that is in use to the newest connection that claims it, and ends the older one. */
  routerHandover?: boolean;
  /** Connections that are accepted must prove a CURVE key; with it `zapDomain` and `zapEnforceDomain`. */
  curveServer?: boolean;
  /** This side's CURVE keys, 40 characters of Z85 each. */
  curvePublicKey?: string;
  curveSecretKey?: string;
  /** The public key that the side connected to must have. */
  curveServerKey?: string;
  /** Passed to the ZAP handler, so that it knows which socket is asked about. */
  zapDomain?: string;
  /** Refuses all connections where no ZAP handler answers; without it libzmq admits any key. */
  zapEnforceDomain?: boolean;
  /** Kernel send buffer in bytes. */
  sndBuf?: number;
  /** Kernel receive buffer in bytes. */
  rcvBuf?: number;
  /** Time between heartbeats on a connection, in ms. */
  heartbeatIvl?: number;
  /** Silence after a heartbeat that ends a connection, in ms. */
  heartbeatTimeout?: number;
}

const OPTION_IDS = {
  routingId: 5,
  sndBuf: 11,
  rcvBuf: 12,
  linger: 17,
  reconnectIvl: 18,
  backlog: 19,
  reconnectIvlMax: 21,
  maxMsgSize: 22,
  sndHwm: 23,
  rcvHwm: 24,
  routerMandatory: 33,
  immediate: 39,
  curveServer: 47,
  curvePublicKey: 48,
  curveSecretKey: 49,
  curveServerKey: 50,
  zapDomain: 55,
  routerHandover: 56,
  handshakeIvl: 66,
  heartbeatIvl: 75,
  heartbeatTimeout: 77,
  zapEnforceDomain: 93,
} satisfies Record<keyof SocketOptions, number>;

/** One option as zmq_setsockopt(3) takes it. */
export interface EncodedOption {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For a person: name and value, but no secret. */
  readonly text: string;
}

/** The options that are given, for zmq_setsockopt(3). */
export function encodeOptions(options: SocketOptions): EncodedOption[] {
  const names = keysOf(OPTION_IDS);
  return names.flatMap((name) => {
    const value = options[name];
    if (value === undefined) return [];
    const text = name === "curveSecretKey" ? name : `${name} to ${value}`;
    return { id: OPTION_IDS[name], bytes: bytesOf(name, value), text };
  });
}

function bytesOf(name: keyof SocketOptions, value: string | number | boolean): Uint8Array<ArrayBuffer> {
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (name === "maxMsgSize") return new Uint8Array(new BigInt64Array([BigInt(Number(value))]).buffer);
  return new Uint8Array(new Int32Array([Number(value)]).buffer);
}

function keysOf<T extends object>(object: T): Extract<keyof T, string>[] {
  const keys: Extract<keyof T, string>[] = [];
  for (const key in object) keys.push(key);
  return keys;
}
