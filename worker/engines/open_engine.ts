import { moduleEnding } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { importUserModule } from "../user_module.ts";
import type { Engine, EngineOptions } from "./engine.ts";

/**
 * Modules that export `open(options)`, by engine name. Their paths are no literals of an import, so that Deno fetches
 * the packages of an engine only when it is used.
 */
const MODULES: Readonly<Record<string, string>> = {
  onnx: "./onnx.ts",
  reference: "./reference.ts",
  tensorflow: "./tensorflow.ts",
  webgpu: "./webgpu.ts",
  xla: "./xla.ts",
};

/** Engines whose matrix products multiply other types than float32, too. */
const NARROW: readonly string[] = ["xla"];

/** True for the path of a user's own engine. */
export function isEnginePath(name: string): boolean {
  return moduleEnding.test(name);
}

export const engineNames: readonly string[] = Object.keys(MODULES);

/**
 * The engine of that name, or of the module at that path (`--engine=./my_engine.ts`). An unknown one is an E_ENGINE, as is
 * a dtype that a known one does not compute in.
 */
export async function openEngine(name: string, options: EngineOptions): Promise<Engine> {
  const { dtype = "float32" } = options;
  if (isEnginePath(name)) {
    const { open } = await importUserModule(name, {
      what: "engine",
      code: "E_ENGINE",
      functions: ["open(options)"],
    });
    return await (open as (options: EngineOptions) => Engine | Promise<Engine>)(options);
  }
  if (!Object.hasOwn(MODULES, name)) {
    throw new LockstepError("E_ENGINE", `Cannot use the engine ${name}: known are ${engineNames.join(", ")}`);
  }
  if (dtype !== "float32" && !NARROW.includes(name)) {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot compute in ${dtype} with the engine ${name}, which knows float32: use --engine=${
        NARROW.join(" or ")
      } or --dtype=float32`,
    );
  }
  const url = new URL(MODULES[name], import.meta.url).href;
  const module: { open(options: EngineOptions): Engine | Promise<Engine> } = await import(url);
  return await module.open(options);
}
