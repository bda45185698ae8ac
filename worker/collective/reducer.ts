import { Spans } from "../../shared/spans.ts";
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
    const spans = key.isProfiled ? new Spans("reduce") : undefined;
    this.#exchange.begin(key, spans);
    const reduced = this.#run(spans && new Stretches(spans));
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

  async #run(stretches?: Stretches): Promise<Reduced | null> {
    try {
      await null; // what is announced at once is there when the exchange is pumped first
      let blockedUntil = performance.now() + BLOCKED_MS;
      while (!this.#exchange.done) {
        if (this.#aborted) return null;
        const worked = this.#exchange.pump();
        stretches?.now(worked ? "add and send" : waitOf(this.#exchange));
        if (worked) {
          this.#moved++;
          continue;
        }
        if (performance.now() < blockedUntil && this.#waitBriefly()) continue;
        await this.options.links.wait(this.#exchange.interest);
        blockedUntil = performance.now() + BLOCKED_MS;
      }
      stretches?.now("done");
      return { ...this.#exchange.result, spans: stretches?.spans.list };
    } catch (error) {
      this.#exchange.abort();
      throw error;
    }
  }
}

/** Turns what is done at each moment into spans of what is done for a while. */
class Stretches {
  #what: string | null = null;
  #since = performance.now();

  constructor(readonly spans: Spans) {}

  now(what: string): void {
    if (what === this.#what) return;
    const now = performance.now();
    if (this.#what !== null) this.spans.add(this.#what, this.#since, { ended: now });
    this.#what = what;
    this.#since = now;
  }
}

function waitOf({ isAnnounced, interest: { from } }: Exchanging): string {
  if (!isAnnounced) return "wait for own gradients";
  return from.length === 0
    ? "wait until all is taken"
    : `wait for rank ${from.toSorted((a, b) => a - b).join(", ")}`;
}
