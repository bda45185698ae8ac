import { cacheFolder } from "../../shared/cache_folder.ts";
import { commandLine } from "../../shared/command_line.ts";
import { LockstepError } from "../../shared/errors.ts";
import { type ClientOptions, PjrtClient } from "./pjrt.ts";
import { PjrtApi } from "./pjrt_api.ts";
import type { CompilerOptions } from "./pjrt_options.ts";

/** Where XLA computes. */
export type XlaDevice = "cpu" | "cuda";

/** A PJRT plugin as PyPI has it. */
export interface XlaPlugin {
  /** Its folder's name in the cache folder. */
  readonly folder: string;
  /** The plugin and the libraries that it loads: no package's dependencies are fetched beside them. */
  readonly packages: readonly string[];
  /** The shared library inside that folder. */
  readonly library: string;
}

/** The plugins; `setup-xla` fetches them. */
export const XLA_PLUGINS: Readonly<Record<XlaDevice, XlaPlugin>> = {
  cpu: {
    folder: "xla-cpu-0.11.2",
    packages: ["lammps-jax-pjrt-cpu==0.11.2"],
    library: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
  },
  cuda: {
    folder: "xla-cuda13-0.10.2",
    packages: [
      "jax-cuda13-pjrt==0.10.2",
      "nvidia-cublas==13.10.0.20",
      "nvidia-cuda-crt==13.5.37",
      "nvidia-cuda-cupti==13.5.25",
      "nvidia-cuda-nvcc==13.5.37",
      "nvidia-cuda-nvrtc==13.5.37",
      "nvidia-cuda-runtime==13.5.37",
      "nvidia-cudnn-cu13==9.28.1.4",
      "nvidia-cufft==12.5.0.14",
      "nvidia-cusolver==12.4.1.2",
      "nvidia-cusparse==12.9.4.2",
      "nvidia-nccl-cu13==2.32.3",
      "nvidia-nvjitlink==13.5.37",
      "nvidia-nvshmem-cu13==3.8.0",
      "nvidia-nvvm==13.5.37",
    ],
    library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
  },
};

/** Where a plugin's shared library is, or will be. Throws E_ENGINE where there is no cache folder. */
export function pluginLibrary(device: XlaDevice): string {
  const { folder, library } = XLA_PLUGINS[device];
  const path = cacheFolder(folder, library);
  if (path === undefined) {
    throw new LockstepError(
      "E_ENGINE",
      "Cannot use the engine xla: HOME must name the folder of this user, where its plugin is kept",
    );
  }
  return path;
}

/** Whether `setup-xla` has been run for the device. */
export function isPluginThere(device: XlaDevice): boolean {
  try {
    return Deno.statSync(pluginLibrary(device)).isFile;
  } catch {
    return false;
  }
}

const clients = new Map<XlaDevice, PjrtClient>();

/**
 * Opens the plugin of a device, once for a JavaScript thread. Throws E_ENGINE where it is not set up, is too old or shows no
 * device.
 */
export function openXla(device: XlaDevice): PjrtClient {
  const known = clients.get(device);
  if (known !== undefined) return known;
  if (!isPluginThere(device)) {
    throw new LockstepError(
      "E_ENGINE",
      `Cannot use the engine xla on ${device} as its plugin is not there: run ${
        commandLine(`setup-xla --${device}`)
      }`,
    );
  }
  if (Deno.env.get("TF_CPP_MIN_LOG_LEVEL") === undefined) Deno.env.set("TF_CPP_MIN_LOG_LEVEL", "2"); // errors
  const client = new PjrtClient(new PjrtApi(pluginLibrary(device)), CLIENT_OPTIONS[device]);
  clients.set(device, client);
  return client;
}

const CLIENT_OPTIONS: Readonly<Record<XlaDevice, ClientOptions>> = {
  cpu: {},
  // Or a client takes three quarters of the GPU's memory at once, and a second worker there finds none.
  cuda: { preallocate: false },
};

/** How programs are compiled: so that they have the same bits each time. */
export function compilerOptions(device: XlaDevice, threads: number): CompilerOptions {
  // XLA knows one thread or all cores: the number cannot be chosen.
  if (device === "cpu") return { xla_cpu_multi_thread_eigen: threads > 1 };
  return {
    xla_gpu_cuda_data_dir: cacheFolder(XLA_PLUGINS.cuda.folder, "nvidia", "cu13") ?? "", // ptxas and libdevice
    xla_gpu_deterministic_ops: true, // and nothing is chosen by timing
    xla_gpu_enable_triton_gemm: false, // or tiles that only timing chooses well
  };
}
