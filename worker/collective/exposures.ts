import { ExposedMemory } from "./shared_memory.ts";

/** The arenas of a process that its peers may map, generation after generation. */
export class Exposures {
  #exposed: ExposedMemory[] = [];

  /**
   * Exposes memories from a byte on, those that are not exposed yet, and forgets the others; null if one of them cannot
   * be. Nobody else may write to memory that is exposed for the first time meanwhile.
   */
  expose(memories: readonly { memory: WebAssembly.Memory; from: number }[]): ExposedMemory[] | null {
    const known = this.#exposed;
    this.#exposed = [];
    const result: ExposedMemory[] = [];
    for (const { memory, from } of memories) {
      const is = (exposed: ExposedMemory) => exposed.is(memory) && exposed.offer.from <= from;
      const exposed = this.#exposed.find(is) ?? known.find(is) ?? ExposedMemory.expose(memory, from);
      if (exposed === null) break;
      if (!this.#exposed.includes(exposed)) this.#exposed.push(exposed);
      result.push(exposed);
    }
    for (const exposed of known) if (!this.#exposed.includes(exposed)) exposed.close();
    return result.length === memories.length ? result : null;
  }

  /** Nobody new can map what was exposed. */
  close(): void {
    for (const exposed of this.#exposed) exposed.close();
    this.#exposed = [];
  }
}
