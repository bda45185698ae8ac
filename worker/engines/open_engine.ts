import { LockstepError } from "../../shared/errors.ts";
import type { Engine, EngineOptions } from "./engine.ts";

/**
 * Modules that export `open(options)`, by engine name. Their paths are no literals of an import, so that Deno fetches
 * the packages of an engine only when it is used.
 */
const MODULES: Readonly<Record<string, string>> = {
  onnx: "./onnx.ts",
  reference: "./reference.ts",
};

export const engineNames: readonly string[] = Object.keys(MODULES);

/** The engine of that name. An unknown one is an E_ENGINE. */
export async function openEngine(name: string, options: EngineOptions): Promise<Engine> {
  if (!Object.hasOwn(MODULES, name)) {
    throw new LockstepError("E_ENGINE", `Cannot use the engine ${name}: known are ${engineNames.join(", ")}`);
  }
  const url = new URL(MODULES[name], import.meta.url).href;
  const module: { open(options: EngineOptions): Engine } = await import(url);
  return module.open(options);
}
