import { LockstepError } from "../../shared/errors.ts";
import type { Collective, CollectiveStatus, Reduced, StepKey } from "./collective.ts";
import { PeerError } from "./peer_error.ts";
import type {
  CollectiveMemory,
  CollectiveSetup,
  FromCollectiveThread,
  ToCollectiveThread,
} from "./thread_messages.ts";

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * A collective in a thread of its own, which owns the data sockets.
 *
 * @example
 * ```ts ignore
 * const collective = new CollectiveClient();
 * await collective.configure(setup);
 * const reduced = collective.begin({ step: 0, attempt: 0 });
 * collective.announce(node, region.byteOffset);
 * console.log((await reduced)?.gradNorm);
 * ```
 */
export class CollectiveClient implements Collective {
  readonly #thread = new Worker(new URL("../collective_thread.ts", import.meta.url), { type: "module" });
  #exposed: Waiting<void> | null = null;
  #configured: Waiting<void> | null = null;
  #reduced: Waiting<Reduced | null> | null = null;
  #aborted: Waiting<void>[] = [];
  #status: Waiting<CollectiveStatus>[] = [];
  #closed: Waiting<void> | null = null;
  #ports: readonly number[] = [];

  constructor() {
    this.#thread.onmessage = ({ data }: MessageEvent<FromCollectiveThread>) => this.#receive(data);
    this.#thread.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`The collective thread failed: ${event.message}`));
    };
  }

  /** Does what can be done before it is known who the members are. Nobody may write to the memory meanwhile. */
  expose(memory: CollectiveMemory): Promise<void> {
    return this.#ask({ type: "expose", memory }, (waiting) => this.#exposed = waiting);
  }

  /** Joins a generation of members; an earlier one is left. Rejects with E_ZMQ or E_DECODE where that is not possible. */
  configure(setup: CollectiveSetup): Promise<void> {
    return this.#ask({ type: "configure", setup }, (waiting) => this.#configured = waiting);
  }

  /** Of the generation that was joined, by rank: TCP ports on which this member waits for others, 0 for none. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  /**
   * Connects to members of other hosts, by rank: `tcp://HOST:PORT` with the port that each told for this member. To be
   * called after `configure` and before `begin`, where there are any.
   */
  connect(endpoints: readonly string[]): void {
    this.#post({ type: "connect", endpoints });
  }

  /** As `Collective.begin`; also rejects with a `PeerError` E_LINK where the connection to a peer has ended. */
  begin(key: StepKey): Promise<Reduced | null> {
    return this.#ask({ type: "begin", key }, (waiting) => this.#reduced = waiting);
  }

  announce(node: number, byteOffset: number): void {
    this.#post({ type: "announce", node, byteOffset });
  }

  abort(): Promise<void> {
    return this.#ask({ type: "abort" }, (waiting) => this.#aborted.push(waiting));
  }

  status(): Promise<CollectiveStatus> {
    return this.#ask({ type: "status" }, (waiting) => this.#status.push(waiting));
  }

  close(): Promise<void> {
    return this.#ask({ type: "close" }, (waiting) => this.#closed = waiting);
  }

  #ask<T>(message: ToCollectiveThread, register: (waiting: Waiting<T>) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    register({ resolve, reject });
    this.#post(message);
    return promise;
  }

  #post(message: ToCollectiveThread): void {
    this.#thread.postMessage(message);
  }

  #receive(message: FromCollectiveThread): void {
    switch (message.type) {
      case "exposed":
        return this.#exposed?.resolve();
      case "configured":
        this.#ports = message.ports;
        return this.#configured?.resolve();
      case "reduced":
        return this.#reduced?.resolve(message.reduced);
      case "failed": {
        const waiting = message.during === "begin" ? this.#reduced : this.#configured;
        const { code, message: sentence, rank } = message;
        return waiting?.reject(
          rank === null ? new LockstepError(code, sentence) : new PeerError(code, sentence, rank),
        );
      }
      case "aborted":
        return this.#aborted.shift()?.resolve();
      case "status":
        return this.#status.shift()?.resolve(message.status);
      case "closed":
        return this.#closed?.resolve();
    }
  }

  #fail(error: Error): void {
    const answers = [this.#exposed, this.#configured, this.#reduced, this.#closed];
    for (const waiting of [...answers, ...this.#aborted, ...this.#status]) waiting?.reject(error);
  }
}
