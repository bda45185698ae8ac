import { LockstepError } from "../../shared/errors.ts";
import type { Engine, EngineOptions } from "./engine.ts";

/** How each engine is loaded: only the one that is used is fetched and imported. */
const ENGINES: Readonly<Record<string, (options: EngineOptions) => Promise<Engine>>> = {
  onnx: async (options) => new (await import("./onnx.ts")).OnnxEngine(options),
  reference: async (options) => new (await import("./reference.ts")).ReferenceEngine(options),
};

export const engineNames: readonly string[] = Object.keys(ENGINES);

/** The engine of that name. An unknown one is an E_ENGINE. */
export async function openEngine(name: string, options: EngineOptions): Promise<Engine> {
  const open = ENGINES[name];
  if (open === undefined) {
    throw new LockstepError("E_ENGINE", `Cannot use the engine ${name}: known are ${engineNames.join(", ")}`);
  }
  return await open(options);
}
