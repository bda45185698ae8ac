import { setImmediate } from "node:timers";
import { type Libzmq, loadLibzmq } from "./libzmq.ts";
import type { Context, Socket } from "./socket.ts";

/** What a wait is to be ended by. */
export interface Interest {
  /** A message that can be received on one of these. */
  readable?: readonly Socket[];
  /** Room for a message on one of these. */
  writable?: readonly Socket[];
}

const POLLIN = 1;
const IS_WINDOWS = Deno.build.os === "windows";
// zmq_pollitem_t: socket pointer (null), file descriptor, events, returned events.
const ITEM_BYTES = IS_WINDOWS ? 24 : 16;
const DESCRIPTOR_OFFSET = 8;
const EVENTS_OFFSET = IS_WINDOWS ? 16 : 12;
const WAKE = [new Uint8Array(0)];
/**
 * Deno has 32 threads for all that a JavaScript thread waits for at a time. A wait without end gives its own back now and
 * then, so that more than so many pollers hold each other up, and not for ever.
 */
const LONGEST_MS = 500;

/**
 * Waits for sockets on a thread of its own, so that JavaScript goes on running. That thread knows only the descriptors by
 * which sockets tell of news (ZMQ_FD): the sockets stay the caller's, which may send while it waits. As sending takes in
 * such news too, whoever does asks the socket afterwards whether it `isReadable`.
 */
export class Poller {
  readonly #zmq: Libzmq = loadLibzmq();
  readonly #waker: Socket;
  readonly #wakeReceiver: Socket;
  #items = new DataView(new ArrayBuffer(8 * ITEM_BYTES));
  #pending: Promise<unknown> | null = null;
  #woken = false;

  /** `context` must be that of the sockets. */
  constructor(context: Context) {
    const endpoint = `inproc://poller-${crypto.randomUUID()}`;
    this.#wakeReceiver = context.socket("pair", { linger: 0 });
    this.#wakeReceiver.bind(endpoint);
    this.#waker = context.socket("pair", { linger: 0 });
    this.#waker.connect(endpoint);
  }

  /**
   * Resolves when one of the sockets is ready, `wake` was called, or `timeoutMs` have passed (−1: never). One without end
   * may resolve without a reason; callers try their sockets and wait again. Only one wait at a time.
   */
  async wait(timeoutMs: number, { readable = [], writable = [] }: Interest = {}): Promise<void> {
    if (this.#pending !== null) throw new Error("Cannot wait on a poller that is waiting");
    const isReady = () =>
      this.#woken || readable.some((socket) => socket.isReadable) ||
      writable.some((socket) => socket.isWritable);
    const sockets = [this.#wakeReceiver, ...new Set([...readable, ...writable])];
    const deadline = performance.now() + (timeoutMs < 0 ? LONGEST_MS : timeoutMs);
    while (this.#wakeReceiver.tryReceive() !== null);
    if (isReady()) await new Promise(setImmediate); // timers and other events have their turn also in a flood of messages
    for (
      let left = deadline - performance.now();
      left > 0 && !isReady();
      left = deadline - performance.now()
    ) {
      await this.#poll(Math.ceil(left), sockets); // news need not be messages: connections come and go
    }
    this.#woken = false;
  }

  /** Ends the wait that is going on, or else the next one. */
  wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    if (this.#pending !== null) this.#waker.trySend(WAKE);
  }

  /** Ends a wait that is going on and frees what the poller has; the sockets stay open. */
  async close(): Promise<void> {
    if (this.#pending !== null) {
      this.wake();
      await this.#pending;
    }
    this.#waker.close();
    this.#wakeReceiver.close();
  }

  async #poll(timeoutMs: number, sockets: readonly Socket[]): Promise<void> {
    this.#reserve(sockets.length);
    sockets.forEach((socket, index) => this.#writeItem(index, socket.newsDescriptor));
    try {
      this.#pending = this.#zmq.zmq_poll(this.#items.buffer, sockets.length, BigInt(timeoutMs));
      await this.#pending;
    } finally {
      this.#pending = null;
    }
  }

  #reserve(items: number): void {
    if (items * ITEM_BYTES <= this.#items.byteLength) return;
    this.#items = new DataView(new ArrayBuffer(2 * items * ITEM_BYTES));
  }

  #writeItem(index: number, descriptor: bigint): void {
    this.#items.setBigUint64(index * ITEM_BYTES, 0n, true);
    const at = index * ITEM_BYTES + DESCRIPTOR_OFFSET;
    if (IS_WINDOWS) this.#items.setBigUint64(at, descriptor, true);
    else this.#items.setInt32(at, Number(descriptor), true);
    this.#items.setInt16(index * ITEM_BYTES + EVENTS_OFFSET, POLLIN, true);
  }
}
