/** The newest of what is added, at most so many. */
export class Recent<T> {
  #items: T[] = [];

  constructor(private readonly most: number) {}

  /** Oldest first. */
  get items(): readonly T[] {
    return this.#items.slice(-this.most);
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length >= 2 * this.most) this.#items = this.#items.slice(-this.most);
  }

  clear(): void {
    this.#items = [];
  }
}
