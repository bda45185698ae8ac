import type { Reduced, StepKey } from "./collective/collective.ts";
import { makeReducer } from "./collective/make_reducer.ts";
import type { Reducer } from "./collective/reducer.ts";
import type { CollectiveSetup } from "./collective/thread_messages.ts";
import type { Reducing } from "./worker.ts";

/** Reduces in this thread: for a run of one process, where there is nothing to wait for. */
export class LocalReducing implements Reducing {
  #reducer: Reducer | undefined;

  async configure(setup: CollectiveSetup): Promise<void> {
    await this.#reducer?.close();
    this.#reducer = makeReducer(setup);
  }

  get ports(): readonly number[] {
    return [];
  }

  connect(): void {
    // There is nobody to connect to.
  }

  begin(key: StepKey): Promise<Reduced | null> {
    return this.#configured().begin(key);
  }

  announce(node: number, byteOffset: number): void {
    this.#configured().announce(node, byteOffset);
  }

  async abort(): Promise<void> {
    await this.#reducer?.abort();
  }

  status() {
    return Promise.resolve(this.#reducer?.status() ?? { waitsFor: [], moved: 0, dropped: 0 });
  }

  async close(): Promise<void> {
    await this.#reducer?.close();
  }

  #configured(): Reducer {
    if (this.#reducer === undefined) throw new Error("Cannot reduce before configure");
    return this.#reducer;
  }
}
