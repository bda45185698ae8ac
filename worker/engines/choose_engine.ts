import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";

/** Which engine a run uses, and why in a few words. */
export interface EngineChoice {
  readonly name: string;
  readonly device: string;
  readonly reason: string;
}

/** The engine for a configuration: the fastest that can work here unless one is named. */
export function chooseEngine({ engine, device }: Pick<RunConfig, "engine" | "device">): EngineChoice {
  if (device !== "auto" && device !== "cpu") {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot compute on ${device}: no engine for it is built yet; use --device=cpu`,
    );
  }
  if (engine !== "auto") return { name: engine, device: "cpu", reason: `--engine=${engine}` };
  if (isNativeCodeAllowed()) return { name: "onnx", device: "cpu", reason: "compiled, the fastest on a CPU" };
  return {
    name: "reference",
    device: "cpu",
    reason: "plain JavaScript and many times slower, because --allow-ffi is denied and onnx needs it",
  };
}

/** Whether native libraries (ONNX Runtime, libzmq) may be loaded. */
export function isNativeCodeAllowed(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}
