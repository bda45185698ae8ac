/** Passes text on as it comes until `stop` appears in it: what may become the stop text waits for what follows. */
export class StopFilter {
  #waiting = "";
  #stopped = false;

  /** `stop` is null for text that never ends early. */
  constructor(private readonly stop: string | null) {}

  /** True once the stop text has appeared. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that can be shown now; after the stop text nothing. */
  push(text: string): string {
    if (this.stop === null) return text;
    if (this.#stopped) return "";
    const all = this.#waiting + text;
    const at = all.indexOf(this.stop);
    this.#stopped = at >= 0;
    const shown = at >= 0 ? at : all.length - beginningAtEnd(all, this.stop);
    this.#waiting = all.slice(shown);
    return all.slice(0, shown);
  }

  /** What still waits when no more text comes. */
  end(): string {
    return this.#stopped ? "" : this.#waiting;
  }
}

/** The length of the longest beginning of `stop`, shorter than all of it, with which `text` ends. */
function beginningAtEnd(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (!text.endsWith(stop.slice(0, length))) length--;
  return length;
}
