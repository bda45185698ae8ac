/** Something to do between two messages. */
class Notice {
  constructor(readonly run: () => void) {}
}

/** Messages that wait for their reader: first in, first out, until it is closed or fails. */
export class Inbox<T> {
  readonly #items: (T | Notice)[] = [];
  readonly #readers: PromiseWithResolvers<T | null>[] = [];
  #end: { error: unknown } | "closed" | null = null;

  /** How many messages and notices wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Adds a message; after the end it is ignored. */
  push(item: T): void {
    if (this.#end !== null) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#items.push(item);
    else reader.resolve(item);
  }

  /** Calls `run` when the reader comes back for more than was added before; after the end it is ignored. */
  notify(run: () => void): void {
    if (this.#end !== null) return;
    if (this.#items.length === 0 && this.#readers.length > 0) run();
    else this.#items.push(new Notice(run));
  }

  /** The next message, when there is one; null once closed, a rejection once failed. */
  receive(): Promise<T | null> {
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      if (!(item instanceof Notice)) return Promise.resolve(item);
      item.run();
    }
    const reader = Promise.withResolvers<T | null>();
    if (this.#end === null) this.#readers.push(reader);
    else this.#settle(reader, this.#end);
    return reader.promise;
  }

  /** Ends it: what still waits is thrown away. */
  close(): void {
    this.#items.length = 0;
    this.#finish("closed");
  }

  /** Ends it with an error, after what still waits has been read. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  /** Ends it like `close`, after what still waits has been read. */
  finish(): void {
    this.#finish("closed");
  }

  #finish(end: { error: unknown } | "closed"): void {
    this.#end ??= end;
    for (const reader of this.#readers.splice(0)) this.#settle(reader, this.#end);
  }

  #settle(reader: PromiseWithResolvers<T | null>, end: { error: unknown } | "closed"): void {
    if (end === "closed") reader.resolve(null);
    else reader.reject(end.error);
  }
}
