/** Beats of a member that are looked at, and how many of them must show that it is slow, or that it is not any more. */
const BEATS = 10, SLOW = 7, NOT_SLOW = 3;

/** Finds members for which all others wait most of the time, though they go on. */
export class Slowness {
  readonly #beats = new Map<string, boolean[]>();
  readonly #slow = new Set<string>();

  /** Notes whether all others waited for a member at its beat, and it for nobody. True when it has become slow. */
  beat(id: string, isWaitedFor: boolean): boolean {
    const beats = [...this.#beats.get(id) ?? [], isWaitedFor].slice(-BEATS);
    this.#beats.set(id, beats);
    const count = beats.filter((each) => each).length;
    if (count <= NOT_SLOW) this.#slow.delete(id);
    if (count < SLOW || this.#slow.has(id)) return false;
    this.#slow.add(id);
    return true;
  }

  /** Another roster, or another activity of the members: what was noted says nothing about it. */
  forget(): void {
    this.#beats.clear();
  }
}
