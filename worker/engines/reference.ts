import type { EngineOptions } from "./engine.ts";
import { EagerEngine } from "./eager.ts";

/** TensorFlow.js's plain JavaScript backend: slow, and needs no native code. */
export class ReferenceEngine extends EagerEngine {
  constructor(options: EngineOptions) {
    super({ name: "reference", device: "cpu", backend: "cpu" }, options);
  }
}
