/** Who waits for which piece of a state that another member gives. */
export class StateRelay {
  readonly #waiting = new Map<number, string[]>();

  /** A member asks for a piece. */
  ask(index: number, id: string): void {
    this.#waiting.set(index, [...this.#waiting.get(index) ?? [], id]);
  }

  /** A piece is there: who waits for it, and no more from now on. */
  take(index: number): readonly string[] {
    const waiting = this.#waiting.get(index) ?? [];
    this.#waiting.delete(index);
    return waiting;
  }

  clear(): void {
    this.#waiting.clear();
  }
}
