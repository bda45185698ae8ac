import type { Collective, Reduced, StepKey } from "./collective.ts";
import { Exchange, type ExchangeOptions } from "./exchange.ts";

/** A collective in this thread: pumps an exchange, and waits for its links in between. It closes them at its end. */
export class Reducer implements Collective {
  readonly #exchange: Exchange;
  #aborted = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ExchangeOptions) {
    this.#exchange = new Exchange(options);
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

  async close(): Promise<void> {
    await this.abort();
    await this.options.links.close();
  }

  async #run(): Promise<Reduced | null> {
    try {
      while (!this.#exchange.done) {
        if (this.#aborted) return null;
        if (!this.#exchange.pump()) await this.options.links.wait(this.#exchange.interest);
      }
      return this.#exchange.result;
    } catch (error) {
      this.#exchange.abort();
      throw error;
    }
  }
}
