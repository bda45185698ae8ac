import type { EngineMemory } from "./engine.ts";
import type { HostArray, PjrtBuffer, PjrtClient } from "./pjrt.ts";

/** The arena's parameters as programs take them: a copy on the device while they are known not to change. */
export class XlaParameters implements Disposable {
  #copy: { readonly version: number; readonly buffer: PjrtBuffer } | undefined;

  constructor(private readonly client: PjrtClient, private readonly memory: EngineMemory) {}

  current(): HostArray | PjrtBuffer {
    const { parameters: { view, length } } = this.memory;
    const version = this.memory.version?.();
    if (version === undefined) return view;
    if (this.#copy?.version !== version) {
      this[Symbol.dispose]();
      this.#copy = { version, buffer: this.client.upload(view, [length]) };
    }
    return this.#copy.buffer;
  }

  [Symbol.dispose](): void {
    this.#copy?.buffer[Symbol.dispose]();
    this.#copy = undefined;
  }
}
