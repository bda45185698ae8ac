import type { Collective, CollectiveStatus, Reduced, StepKey } from "./collective.ts";
import type { Exchanging } from "./exchange.ts";
import type { Links } from "./link.ts";
import type { ZmqLinks } from "./zmq_links.ts";

/** How long this thread may block before it looks at its messages again, and for how long at once, in ms. */
const BLOCKED_MS = 20, LISTEN_MS = 1;

/** A collective in this thread: pumps an exchange, and waits for its links in between. It closes them at its end. */
export class Reducer implements Collective {
  readonly #exchange: Exchanging;
  #aborted = false;
  #moved = 0;
  #running: Promise<unknown> = Promise.resolve();

  /** `sockets`: what the links are made of, where there are any. */
  constructor(
    private readonly options: { exchange: Exchanging; links: Links },
    private readonly sockets: ZmqLinks | null = null,
  ) {
    this.#exchange = options.exchange;
  }

  /** By rank: TCP ports on which this member waits for others; see `ZmqLinks`. */
  get ports(): readonly number[] {
    return this.sockets?.ports ?? [];
  }

  /** Connects to members of other hosts, before the first reduction; see `ZmqLinks`. */
  connect(endpoints: readonly string[]): void {
    this.sockets?.connect(endpoints);
  }

  begin(key: StepKey): Promise<Reduced | null> {
    this.#aborted = false;
    this.#exchange.begin(key);
    const reduced = this.#run();
    this.#running = reduced.catch(() => {}); // whoever began it is told
    return reduced;
  }

  announce(node: number, byteOffset: number): void {
    this.#exchange.announce(node, byteOffset);
    this.options.links.wake();
  }

  async abort(): Promise<void> {
    this.#aborted = true;
    this.options.links.wake();
    await this.#running;
    this.#exchange.abort();
  }

  /** How the reduction stands. Who has not brought its own sums yet waits for nobody: the others wait for it. */
  status(): CollectiveStatus {
    const { from, to } = this.#exchange.isAnnounced ? this.#exchange.interest : { from: [], to: [] };
    const { nonce, stale } = this.#exchange.dropped;
    const waitsFor = [...new Set([...from, ...to])].sort((a, b) => a - b);
    return { waitsFor, moved: this.#moved, dropped: nonce + stale };
  }

  async close(): Promise<void> {
    await this.abort();
    await this.options.links.close();
  }

  /** Waits for peers alone without leaving this thread, where that is possible. */
  #waitBriefly(): boolean {
    const { isAnnounced, interest } = this.#exchange;
    return isAnnounced && this.options.links.waitBriefly?.(interest, LISTEN_MS) === true;
  }

  async #run(): Promise<Reduced | null> {
    try {
      await null; // what is announced at once is there when the exchange is pumped first
      let blockedUntil = performance.now() + BLOCKED_MS;
      while (!this.#exchange.done) {
        if (this.#aborted) return null;
        if (this.#exchange.pump()) {
          this.#moved++;
          continue;
        }
        if (performance.now() < blockedUntil && this.#waitBriefly()) continue;
        await this.options.links.wait(this.#exchange.interest);
        blockedUntil = performance.now() + BLOCKED_MS;
      }
      return this.#exchange.result;
    } catch (error) {
      this.#exchange.abort();
      throw error;
    }
  }
}
