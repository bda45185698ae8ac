/**
 * `deno task setup-xla [--cpu|--cuda]`: fetches XLA's plugin from PyPI into the cache folder, for NVIDIA GPUs with the CUDA
 * libraries that it needs (about 3 GB). Needs pip (of the interpreter in PYTHON, else python3) once; training needs no Python.
 */
import { cacheFolder } from "../../shared/cache_folder.ts";
import { LockstepError } from "../../shared/errors.ts";
import { PjrtApi } from "../../worker/engines/pjrt_api.ts";
import {
  isPluginThere,
  pluginLibrary,
  XLA_PLUGINS,
  type XlaDevice,
} from "../../worker/engines/xla_plugin.ts";
import { pipInstall } from "./pip_install.ts";

/** The device that the arguments name. Throws E_USAGE for any other. */
export function parseSetupXla(args: readonly string[]): XlaDevice {
  const [flag = "--cpu", ...rest] = args;
  if (rest.length === 0 && flag === "--cpu") return "cpu";
  if (rest.length === 0 && flag === "--cuda") return "cuda";
  throw new LockstepError(
    "E_USAGE",
    `Cannot set up XLA for ${args.join(" ")}: use deno task setup-xla --cpu or --cuda`,
  );
}

/** Fetches the plugin unless it is there, beside its place and then moved, so that half of one is never taken for it. */
async function setUp(device: XlaDevice): Promise<string> {
  const library = pluginLibrary(device);
  const { folder: name, packages } = XLA_PLUGINS[device];
  const [folder, partial] = [cacheFolder(name), cacheFolder(`${name}.partial`)];
  if (folder !== undefined && partial !== undefined && !isPluginThere(device)) {
    console.log(`fetching ${packages[0]}${packages.length > 1 ? " and CUDA's libraries" : ""} from PyPI`);
    await pipInstall({ what: "XLA", folder: partial, packages });
    await Deno.rename(partial, folder);
  }
  return `${library} is there, PJRT API ${new PjrtApi(library).version}`;
}

if (import.meta.main) {
  try {
    console.log(await setUp(parseSetupXla(Deno.args)));
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    console.error(`error ${error.code}: ${error.message}`);
    Deno.exit(error.exitCode);
  }
}
