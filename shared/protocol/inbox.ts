/** Messages that wait for their reader: first in, first out, until it is closed or fails. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #readers: PromiseWithResolvers<T | null>[] = [];
  #end: { error: unknown } | "closed" | null = null;

  /** How many messages wait. */
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

  /** The next message, when there is one; null once closed, a rejection once failed. */
  receive(): Promise<T | null> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift() ?? null);
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
