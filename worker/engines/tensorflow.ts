import util from "node:util";
import * as tf from "@tensorflow/tfjs";
import { commandLine } from "../../shared/command_line.ts";
import { LockstepError } from "../../shared/errors.ts";
import { EagerEngine } from "./eager.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { BINDING, packageFolder, TENSORFLOW_PACKAGE } from "./tensorflow_package.ts";

/** The name under which TensorFlow.js knows it. */
const BACKEND = "tensorflow";

/** What the package calls from node:util and Deno's has no more. */
const SHIMS = {
  isNullOrUndefined: (x: unknown) => x === null || x === undefined,
  isArray: Array.isArray,
  isString: (x: unknown) => typeof x === "string",
};

/** What TensorFlow reads from the environment when it is loaded, unless somebody set it. */
const ENVIRONMENT = {
  TF_CPP_MIN_LOG_LEVEL: "2", // errors
  TF_FORCE_GPU_ALLOW_GROWTH: "true",
};

/** Native TensorFlow, op by op: on CUDA, or on a CPU where its binding was built for one. Throws E_ENGINE with what to do. */
export async function open(options: EngineOptions): Promise<Engine> {
  if (options.device === "cpu") Deno.env.set("CUDA_VISIBLE_DEVICES", "-1"); // read when the binding is loaded
  await loadBinding();
  const device = deviceOf(tf.findBackend(BACKEND));
  if (options.device === "cuda" && device !== "cuda") {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot compute on cuda with the engine tensorflow as its binding computes on the CPU here: run ${
        commandLine("setup-tensorflow --cuda")
      }; NVIDIA's driver and CUDA's libraries are required`,
    );
  }
  return new EagerEngine({ name: "tensorflow", device, backend: BACKEND }, options);
}

let loaded: Promise<void> | undefined;

function loadBinding(): Promise<void> {
  return loaded ??= load();
}

async function load(): Promise<void> {
  for (const [name, value] of Object.entries(ENVIRONMENT)) {
    if (Deno.env.get(name) === undefined) Deno.env.set(name, value);
  }
  Object.assign(util, SHIMS);
  const folder = await packageFolder(TENSORFLOW_PACKAGE);
  if (!await exists(folder + BINDING)) {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot use the engine tensorflow as its native binding is not built: run ${
        commandLine("setup-tensorflow")
      } (add --cuda for a GPU)`,
    );
  }
  try {
    await import(TENSORFLOW_PACKAGE);
  } catch (cause) {
    throw new LockstepError("E_ENGINE", `Cannot use the engine tensorflow: ${explain(cause)}`, { cause });
  }
}

/** What a dynamic linker's complaint means, and what to do. */
export function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const library = /(lib[\w.+-]+\.so[\w.]*): cannot open shared object/.exec(message)?.[1];
  if (library === undefined) return message.split("\n")[0];
  const where = /cud|cub|nccl|nvrtc/.test(library)
    ? "CUDA's libraries"
    : "the TensorFlow that it was built against";
  return `the shared library ${library} is missing: install ${where}, or run ${
    commandLine("setup-tensorflow")
  } again`;
}

function deviceOf(backend: unknown): "cuda" | "cpu" {
  const usesGpu = typeof backend === "object" && backend !== null && "isUsingGpuDevice" in backend &&
    backend.isUsingGpuDevice === true;
  return usesGpu ? "cuda" : "cpu";
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
