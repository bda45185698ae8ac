import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";

/** Which engine a run uses, and why in a few words. */
export interface EngineChoice {
  readonly name: string;
  readonly device: string;
  readonly reason: string;
}

/** The device of an engine that is not told otherwise; a user's own says for itself. */
const DEVICES: Readonly<Record<string, string>> = {
  onnx: "cpu",
  reference: "cpu",
  tensorflow: "cpu",
  webgpu: "webgpu",
};

/** The engine for a device that is named. */
const ENGINE_OF = { cuda: "tensorflow", webgpu: "webgpu" } as const;

/** The engine for a configuration: the one that is named, or the fastest on a CPU that can work here. */
export function chooseEngine({ engine, device }: Pick<RunConfig, "engine" | "device">): EngineChoice {
  if (device === "cuda") needNvidia();
  if (engine !== "auto") return namedEngine(engine, device);
  if (device === "cuda" || device === "webgpu") {
    return { name: ENGINE_OF[device], device, reason: `--device=${device}` };
  }
  if (isNativeCodeAllowed()) return { name: "onnx", device: "cpu", reason: "compiled, the fastest on a CPU" };
  return {
    name: "reference",
    device: "cpu",
    reason: "plain JavaScript and many times slower, because --allow-ffi is denied and onnx needs it",
  };
}

/** Where Linux shows an NVIDIA GPU, also through WSL. */
const NVIDIA_NODES = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"];

function needNvidia(): void {
  for (const node of NVIDIA_NODES) {
    try {
      Deno.statSync(node);
      return;
    } catch {
      // Not there, or not for this process to see.
    }
  }
  throw new LockstepError(
    "E_ENGINE",
    `Cannot compute on cuda as this machine shows no NVIDIA GPU (none of ${
      NVIDIA_NODES.join(", ")
    }): use --device=cpu`,
  );
}

function namedEngine(engine: string, device: RunConfig["device"]): EngineChoice {
  const usual = DEVICES[engine] ?? "cpu";
  const fits = device === "auto" || device === usual || (engine === "tensorflow" && device === "cuda") ||
    !Object.hasOwn(DEVICES, engine);
  if (!fits) {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot compute on ${device} with the engine ${engine}: it computes on ${usual}`,
    );
  }
  return { name: engine, device: device === "auto" ? usual : device, reason: `--engine=${engine}` };
}

/** Whether native libraries (ONNX Runtime, libzmq) may be loaded. */
export function isNativeCodeAllowed(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}
