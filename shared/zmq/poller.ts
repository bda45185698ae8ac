import { type Libzmq, loadLibzmq } from "./libzmq.ts";
import type { Context, Socket } from "./socket.ts";

/** What a wait is to be ended by. */
export interface Interest {
  /** A message that can be received on one of these. */
  readable?: readonly Socket[];
  /** Room for a message on one of these. */
  writable?: readonly Socket[];
}

const POLLIN = 1, POLLOUT = 2;
// zmq_pollitem_t: socket pointer, file descriptor (unused), events, returned events.
const ITEM_BYTES = Deno.build.os === "windows" ? 24 : 16;
const EVENTS_OFFSET = Deno.build.os === "windows" ? 16 : 12;
const WAKE = [new Uint8Array(0)];
/**
 * Deno has 32 threads for all that a JavaScript thread waits for at a time. A wait without end gives its own back now and
 * then, so that more than so many pollers hold each other up, and not for ever.
 */
const LONGEST_MS = 500;

/**
 * Waits for sockets on a thread of its own, so that JavaScript goes on running. The sockets belong to it
 * while it waits: an event loop drains and flushes them between two waits, and everyone else uses `wake`.
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
   * Resolves when one of the sockets is ready, `wake` was called, or `timeoutMs` have passed (−1: never).
   * It may resolve without a reason; callers try their sockets and wait again. Only one wait at a time.
   */
  async wait(timeoutMs: number, interest: Interest = {}): Promise<void> {
    if (this.#pending !== null) throw new Error("Cannot wait on a poller that is waiting");
    if (!this.#woken) await this.#poll(timeoutMs, interest);
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

  async #poll(timeoutMs: number, { readable = [], writable = [] }: Interest): Promise<void> {
    const events = new Map<Socket, number>([[this.#wakeReceiver, POLLIN]]);
    for (const socket of readable) events.set(socket, POLLIN);
    for (const socket of writable) events.set(socket, (events.get(socket) ?? 0) | POLLOUT);
    const lent: Socket[] = [];
    try {
      this.#reserve(events.size);
      for (const [socket, wanted] of events) {
        this.#writeItem(lent.length, { address: Deno.UnsafePointer.value(socket.lend()), wanted });
        lent.push(socket);
      }
      const limit = BigInt(timeoutMs < 0 ? LONGEST_MS : timeoutMs);
      this.#pending = this.#zmq.zmq_poll(this.#items.buffer, lent.length, limit);
      await this.#pending;
    } finally {
      this.#pending = null;
      for (const socket of lent) socket.takeBack();
    }
    while (this.#wakeReceiver.tryReceive() !== null);
  }

  #reserve(items: number): void {
    if (items * ITEM_BYTES <= this.#items.byteLength) return;
    this.#items = new DataView(new ArrayBuffer(2 * items * ITEM_BYTES));
  }

  #writeItem(index: number, { address, wanted }: { address: bigint; wanted: number }): void {
    this.#items.setBigUint64(index * ITEM_BYTES, address, true);
    this.#items.setInt16(index * ITEM_BYTES + EVENTS_OFFSET, wanted, true);
  }
}
