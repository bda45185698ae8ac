import { LockstepError } from "../errors.ts";
import { type Libzmq, loadLibzmq } from "./libzmq.ts";
import { encodeOptions, type SocketOptions } from "./socket_options.ts";

/** One part of a message. */
export type Frame = Uint8Array<ArrayBuffer>;

const SOCKET_TYPES = { pair: 0, pub: 1, sub: 2, rep: 4, dealer: 5, router: 6, pull: 7, push: 8 } as const;

/** The kinds of sockets, as zmq_socket(3) describes them. */
export type SocketType = keyof typeof SOCKET_TYPES;

const RCVMORE = 13, NEWS_DESCRIPTOR = 14, EVENTS = 15, LAST_ENDPOINT = 32; // options that are only read
const POLLIN = 1, POLLOUT = 2;
const SOURCE_DESCRIPTOR = 2; // ZMQ_SRCFD
const DONTWAIT = 1, SNDMORE = 2;
const EAGAIN = Deno.build.os === "darwin" ? 35 : 11;
const MESSAGE_STRUCT_BYTES = 64; // sizeof(zmq_msg_t)
const ENDPOINT_BYTES = 512;

/**
 * Frames of a message that are kept: more than any protocol here uses, and a bound for what a stranger sends.
 */
export const MAX_FRAMES = 16;

/** Where a message comes from, as libzmq knows it. */
export interface MessageSource {
  /** What the ZAP handler answered when the connection was admitted; null where none was asked. */
  userId: string | null;
  /** The peer's IP address, over ipc on Linux `localhost:UID:GID:PID`; null where it is not known. */
  address: string | null;
  /** The connection's file descriptor, −1 where it is not known. It is another connection's once this one ended. */
  descriptor: number;
}

/** libzmq's sockets and the threads that serve them. One for each JavaScript thread. */
export class Context {
  readonly #zmq: Libzmq;
  readonly #handle: Deno.PointerObject;
  readonly #sockets = new Set<Socket>();

  /** Throws `LockstepError` E_ZMQ if libzmq cannot be loaded. */
  constructor() {
    this.#zmq = loadLibzmq();
    const handle = this.#zmq.zmq_ctx_new();
    if (handle === null) throw zmqError(this.#zmq, "Cannot create a ZeroMQ context");
    this.#handle = handle;
  }

  /** Opens a socket; `LockstepError` E_ZMQ names an option that libzmq refuses. */
  socket(type: SocketType, options: SocketOptions = {}): Socket {
    const handle = this.#zmq.zmq_socket(this.#handle, SOCKET_TYPES[type]);
    if (handle === null) throw zmqError(this.#zmq, `Cannot open a ${type} socket`);
    const socket = new Socket(this.#zmq, handle, () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    socket.configure(options);
    return socket;
  }

  /** Closes the sockets that are still open, and everything of libzmq once their linger times are over. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await this.#zmq.zmq_ctx_term(this.#handle);
  }
}

/**
 * A socket. It never blocks, and never copies a message more than libzmq needs (once when sending, once when
 * receiving).
 */
export class Socket {
  readonly #zmq: Libzmq;
  #handle: Deno.PointerObject | null;
  readonly #onClose: () => void;
  readonly #message = new Uint8Array(MESSAGE_STRUCT_BYTES);
  readonly #int = new Int32Array(1);
  readonly #size = new BigUint64Array(1);
  #descriptor: bigint | null = null;
  /** To be filled by the message that is being received. */
  #source: MessageSource | null = null;

  /** Made by `Context.socket`. */
  constructor(zmq: Libzmq, handle: Deno.PointerObject, onClose: () => void) {
    this.#zmq = zmq;
    this.#handle = handle;
    this.#onClose = onClose;
  }

  /** Sets options; some hold only for connections that are made later. */
  configure(options: SocketOptions): void {
    for (const { id, bytes, text } of encodeOptions(options)) {
      const rc = this.#zmq.zmq_setsockopt(this.#own(), id, bytes, BigInt(bytes.byteLength));
      if (rc !== 0) throw zmqError(this.#zmq, `Cannot set the socket option ${text}`);
    }
  }

  /**
   * Binds to `ipc://PATH`, `tcp://ADDRESS:PORT` or `inproc://NAME`, and returns it with `*` replaced by what
   * was chosen.
   */
  bind(endpoint: string): string {
    const rc = this.#zmq.zmq_bind(this.#own(), cString(endpoint));
    if (rc !== 0) throw zmqError(this.#zmq, `Cannot bind a socket to ${endpoint}`);
    const text = new Uint8Array(ENDPOINT_BYTES);
    this.#size[0] = BigInt(text.length);
    if (this.#zmq.zmq_getsockopt(this.#own(), LAST_ENDPOINT, text, this.#size) !== 0) {
      throw zmqError(this.#zmq, `Cannot read the address of the socket bound to ${endpoint}`);
    }
    return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
  }

  /**
   * Starts to connect; libzmq goes on trying in the background, also when the other side is not there yet.
   */
  connect(endpoint: string): void {
    const rc = this.#zmq.zmq_connect(this.#own(), cString(endpoint));
    if (rc !== 0) throw zmqError(this.#zmq, `Cannot connect a socket to ${endpoint}`);
  }

  /** Ends a connection made by `connect`. */
  disconnect(endpoint: string): void {
    const rc = this.#zmq.zmq_disconnect(this.#own(), cString(endpoint));
    if (rc !== 0) throw zmqError(this.#zmq, `Cannot disconnect a socket from ${endpoint}`);
  }

  /**
   * Queues one message and copies its frames; false if the queue is full, and then nothing of it is sent.
   * Throws `LockstepError` E_ZMQ if it can never be sent, as for a router's peer that is gone.
   */
  trySend(frames: readonly Frame[]): boolean {
    for (const [index, frame] of frames.entries()) {
      const flags = index + 1 < frames.length ? DONTWAIT | SNDMORE : DONTWAIT;
      if (this.#zmq.zmq_send(this.#own(), frame, BigInt(frame.byteLength), flags) >= 0) continue;
      // libzmq takes back the earlier frames of a message that it refuses.
      if (this.#zmq.zmq_errno() === EAGAIN) return false;
      throw zmqError(this.#zmq, "Cannot send a message");
    }
    return true;
  }

  /**
   * Takes the next message, or null if there is none. Frames beyond `MAX_FRAMES` are read and thrown away.
   */
  tryReceive(): Frame[] | null {
    const frames: Frame[] = [];
    for (let count = 0;; count++) {
      const more = this.#receiveFrame(count < MAX_FRAMES ? frames : null);
      if (more === null) return null;
      if (!more) return frames;
    }
  }

  /** As `tryReceive`, with what libzmq knows about the connection that brought the message. */
  tryReceiveFrom(): { frames: Frame[]; source: MessageSource } | null {
    this.#source = { userId: null, address: null, descriptor: -1 };
    const frames = this.tryReceive();
    const source = this.#source;
    this.#source = null;
    return frames === null ? null : { frames, source };
  }

  /**
   * Takes the next message of two frames without an intermediate copy: the first goes into `header`, the
   * second into the view that `place` returns for it (null: it is thrown away). Returns the frames' sizes as
   * they were sent, which the caller must compare: what is longer than its view is cut off. `payload` is −1
   * where the message had one frame. Null: no message. What `place` throws is passed on, and the message is gone.
   */
  tryReceiveInto(
    header: Frame,
    place: (headerBytes: number) => Frame | null,
  ): { header: number; payload: number } | null {
    const headerBytes = this.#receiveInto(header);
    if (headerBytes < 0) return null;
    if (!this.#hasMore()) return { header: headerBytes, payload: -1 };
    try {
      const payload = this.#receiveInto(place(headerBytes) ?? EMPTY);
      return { header: headerBytes, payload };
    } finally {
      while (this.#hasMore()) this.#receiveInto(EMPTY); // also where `place` throws: the next message starts afresh
    }
  }

  /** Reports what happens to the socket's connections at `endpoint` (`inproc://NAME`): see `Monitor`. */
  monitor(endpoint: string, events: number): void {
    const rc = this.#zmq.zmq_socket_monitor(this.#own(), cString(endpoint), events);
    if (rc !== 0) throw zmqError(this.#zmq, "Cannot watch a socket");
  }

  /** Closes the socket; unsent messages go on being sent for the linger time. Closing twice does nothing. */
  close(): void {
    if (this.#handle === null) return;
    this.#zmq.zmq_close(this.#own());
    this.#handle = null;
    this.#onClose();
  }

  /** Whether a message can be received. */
  get isReadable(): boolean {
    return (this.#events() & POLLIN) !== 0;
  }

  /** Whether there is room for a message; of a socket with many peers, whether any has some. */
  get isWritable(): boolean {
    return (this.#events() & POLLOUT) !== 0;
  }

  /** For `Poller`: a descriptor that becomes readable when there is news that no call has taken in yet. */
  get newsDescriptor(): bigint {
    this.#descriptor ??= this.#readDescriptor();
    return this.#descriptor;
  }

  #own(): Deno.PointerObject {
    if (this.#handle === null) throw new Error("Cannot use a socket that is closed");
    return this.#handle;
  }

  /** Reads one frame, onto `into` if given; true if more of the message follow, null if there is none. */
  #receiveFrame(into: Frame[] | null): boolean | null {
    const socket = this.#own(), message = this.#message;
    this.#zmq.zmq_msg_init(message);
    if (this.#zmq.zmq_msg_recv(message, socket, DONTWAIT) < 0) {
      if (this.#zmq.zmq_errno() === EAGAIN) return null;
      throw zmqError(this.#zmq, "Cannot receive a message");
    }
    if (into !== null) {
      const frame = new Uint8Array(Number(this.#zmq.zmq_msg_size(message)));
      const data = this.#zmq.zmq_msg_data(message);
      if (data !== null && frame.length > 0) Deno.UnsafePointerView.copyInto(data, frame);
      into.push(frame);
      if (this.#source !== null) this.#describe(message, this.#source);
    }
    const more = this.#zmq.zmq_msg_more(message) !== 0;
    this.#zmq.zmq_msg_close(message);
    return more;
  }

  #describe(message: Frame, source: MessageSource): void {
    const property = (name: Frame) => {
      const text = this.#zmq.zmq_msg_gets(message, name);
      return text === null ? null : Deno.UnsafePointerView.getCString(text);
    };
    source.userId = property(USER_ID);
    source.address = property(PEER_ADDRESS);
    source.descriptor = this.#zmq.zmq_msg_get(message, SOURCE_DESCRIPTOR);
  }

  #receiveInto(view: Frame): number {
    const size = this.#zmq.zmq_recv(this.#own(), view, BigInt(view.byteLength), DONTWAIT);
    if (size >= 0) return size;
    if (this.#zmq.zmq_errno() === EAGAIN) return -1;
    throw zmqError(this.#zmq, "Cannot receive a message");
  }

  #hasMore(): boolean {
    return this.#readInt(RCVMORE) !== 0;
  }

  #events(): number {
    return this.#readInt(EVENTS);
  }

  #readInt(option: number): number {
    this.#int[0] = 0;
    this.#size[0] = 4n;
    this.#zmq.zmq_getsockopt(this.#own(), option, this.#int, this.#size);
    return this.#int[0];
  }

  #readDescriptor(): bigint {
    const descriptor = new BigUint64Array(1); // four bytes, on Windows eight
    this.#size[0] = 8n;
    if (this.#zmq.zmq_getsockopt(this.#own(), NEWS_DESCRIPTOR, descriptor, this.#size) !== 0) {
      throw zmqError(this.#zmq, "Cannot read a socket's descriptor");
    }
    return descriptor[0];
  }
}

const EMPTY: Frame = new Uint8Array(0);
const USER_ID = cString("User-Id"), PEER_ADDRESS = cString("Peer-Address");

function cString(text: string): Frame {
  return new TextEncoder().encode(text + "\0");
}

/** `zmq_errno` belongs to the calling thread, so this must follow the failed call at once. */
function zmqError(zmq: Libzmq, action: string): LockstepError {
  const text = zmq.zmq_strerror(zmq.zmq_errno());
  const reason = text === null ? "unknown error" : Deno.UnsafePointerView.getCString(text);
  return new LockstepError("E_ZMQ", `${action}: ${reason}`);
}
