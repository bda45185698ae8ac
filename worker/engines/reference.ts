import type { Engine, EngineOptions } from "./engine.ts";
import { EagerEngine } from "./eager.ts";

/** TensorFlow.js's plain JavaScript backend: slow, and needs no native code. */
export class ReferenceEngine extends EagerEngine {
  constructor(options: EngineOptions) {
    super({ name: "reference", device: "cpu", backend: "cpu" }, options);
  }
}

/** What `openEngine("reference", …)` calls. */
export function open(options: EngineOptions): Engine {
  return new ReferenceEngine(options);
}
