import { LockstepError } from "../errors.ts";
import { Poller } from "./poller.ts";
import type { Context, Frame, MessageSource, Socket } from "./socket.ts";

/** A socket that is served beside the loop's own: a monitor, the ZAP handler. */
export interface SideSocket {
  readonly socket: Socket;
  /** Takes all that has come. Must not throw. */
  attend(): void;
}

/** Who gets what a `SocketLoop` receives. */
export interface SocketLoopOptions {
  /** Takes one message. Must not throw. */
  deliver(frames: Frame[], source: MessageSource): void;
  /**
   * False while no more messages can be taken; the peers are held back meanwhile. Call `wake` when there is
   * room again.
   */
  hasRoom(): boolean;
  /** Takes the error that ended the loop. */
  fail(error: unknown): void;
  /** Called when everything that has come was delivered. */
  drained?(): void;
  /** Sockets of the same context, attended to before the loop's own. */
  sides?: readonly SideSocket[];
  /** Whether the socket has one peer at most, and so tells when that has room. */
  singlePeer?: boolean;
}

interface Unsent {
  frames: readonly Frame[];
  done: () => void;
}

const RETRY_MS = 1; // how soon a full peer is tried again
const FLUSH_MS = 1_000; // how long closing waits for full peers

/**
 * Owns one socket and its context, and moves messages: takes in what has come, sends what is queued, waits.
 * What a peer cannot take yet stays in that peer's queue, in order; nothing is dropped but messages for peers
 * that are gone.
 */
export class SocketLoop {
  readonly #context: Context;
  readonly #socket: Socket;
  readonly #options: SocketLoopOptions;
  readonly #poller: Poller;
  readonly #unsent = new Map<string, Unsent[]>();
  readonly #ended: Promise<void>;
  #closing = false;
  #isWaiting = false;

  /** Starts at once. `socket` and its `context` are the loop's from here on, until `close` frees both. */
  constructor({ context, socket }: { context: Context; socket: Socket }, options: SocketLoopOptions) {
    this.#context = context;
    this.#socket = socket;
    this.#options = options;
    this.#poller = new Poller(context);
    this.#ended = Promise.resolve().then(() => this.#run()); // not before its owner is complete
  }

  /**
   * Sends a message, or queues it behind those with the same `key` that their peer cannot take yet. Resolves when the
   * socket has taken it, or never will.
   */
  send(key: string, frames: readonly Frame[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#closing) return Promise.resolve();
    const queue = this.#unsent.get(key);
    const message = { frames, done: resolve };
    if (queue === undefined) this.#unsent.set(key, [message]);
    else queue.push(message);
    if (this.#isWaiting) this.#sendNow();
    return promise;
  }

  /** Throws away what is queued. */
  drop(): void {
    for (const key of [...this.#unsent.keys()]) this.#forget(key);
  }

  /** Makes the loop look at its queues and at `hasRoom` again. */
  wake(): void {
    this.#poller.wake();
  }

  /**
   * Sends what is queued, then frees the socket and its context; takes at most a second beyond the socket's
   * linger time.
   */
  close(): Promise<void> {
    this.#closing = true;
    this.#poller.wake();
    return this.#ended;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#closing) await this.#turn();
      await this.#flushUntil(performance.now() + FLUSH_MS);
    } catch (error) {
      this.#options.fail(error);
    } finally {
      this.#closing = true;
      this.drop();
      await this.#poller.close();
      await this.#context.close();
    }
  }

  /** While the loop waits: what comes next need not wait for its turn. */
  #sendNow(): void {
    this.#flush();
    if (this.#unsent.size > 0 || this.#socket.isReadable) this.wake();
  }

  async #turn(): Promise<void> {
    const options = this.#options;
    const { sides = [] } = options;
    for (const side of sides) side.attend();
    while (options.hasRoom()) {
      const message = this.#socket.tryReceiveFrom();
      if (message === null) {
        options.drained?.();
        break;
      }
      options.deliver(message.frames, message.source);
    }
    await Promise.resolve(); // whoever was given a message can answer before the loop waits
    this.#flush();
    const readable = sides.map(({ socket }) => socket);
    if (options.hasRoom()) readable.push(this.#socket);
    await this.#waitToSend(-1, readable);
  }

  /** Waits for messages, and for room if something is queued: a socket of many peers tells only whether any has some. */
  async #waitToSend(timeoutMs: number, readable: readonly Socket[] = []): Promise<void> {
    const isFull = this.#unsent.size > 0, { singlePeer = false } = this.#options;
    this.#isWaiting = true;
    await this.#poller.wait(isFull && !singlePeer ? RETRY_MS : timeoutMs, {
      readable,
      writable: isFull && singlePeer ? [this.#socket] : [],
    });
    this.#isWaiting = false;
  }

  #flush(): void {
    for (const [key, queue] of this.#unsent) {
      const sent = this.#sendSome(key, queue);
      if (sent === queue.length) this.#unsent.delete(key);
      else queue.splice(0, sent);
    }
  }

  /** How many messages from the head of the queue are dealt with. */
  #sendSome(key: string, queue: Unsent[]): number {
    for (const [index, { frames, done }] of queue.entries()) {
      try {
        if (!this.#socket.trySend(frames)) return index;
        done();
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        this.#forget(key); // the peer is gone, and its next connection starts afresh
        return queue.length;
      }
    }
    return queue.length;
  }

  #forget(key: string): void {
    for (const { done } of this.#unsent.get(key) ?? []) done();
    this.#unsent.delete(key);
  }

  async #flushUntil(deadline: number): Promise<void> {
    for (this.#flush(); this.#unsent.size > 0 && performance.now() < deadline; this.#flush()) {
      await this.#waitToSend(Math.ceil(deadline - performance.now()));
    }
  }
}
