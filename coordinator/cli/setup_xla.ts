import { cacheFolder } from "../../shared/cache_folder.ts";
import { systemKeys } from "../../shared/config/keys/system.ts";
import { about, truth } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { PjrtApi } from "../../worker/engines/pjrt_api.ts";
import {
  isPluginThere,
  pluginLibrary,
  XLA_PLUGINS,
  type XlaDevice,
} from "../../worker/engines/xla_plugin.ts";
import { defineCommand } from "./command.ts";
import { pipInstall } from "./pip_install.ts";

/**
 * `setup-xla [--cpu|--cuda]`: fetches XLA's plugin from PyPI into the cache folder, for NVIDIA GPUs with the CUDA libraries
 * that it needs. Needs pip once; training needs no Python.
 */
export const command = defineCommand({
  summary: "Fetch XLA's plugin, which computes on NVIDIA GPUs, from PyPI",
  usage: "[--cpu|--cuda]",
  options: {
    cpu: truth().default(false).register(about, { help: "For CPUs, as it does unless told otherwise" }),
    cuda: truth().default(false).register(about, {
      help: "For NVIDIA GPUs, with CUDA's libraries, about 3 GB",
    }),
    quiet: systemKeys.quiet,
  },
  example: "lockstep setup-xla --cuda",
  async run({ options: { cpu, cuda, quiet }, words }) {
    if (words.length > 0 || cpu && cuda) {
      const given = [...(cpu && cuda ? ["both --cpu and --cuda"] : []), ...words].join(" ");
      throw new LockstepError("E_USAGE", `Cannot set up XLA for ${given}: give --cpu or --cuda alone`);
    }
    console.log(await setUp(cuda ? "cuda" : "cpu", { quiet }));
    return 0;
  },
});

/** Fetches the plugin unless it is there, beside its place and then moved, so that half of one is never taken for it. */
async function setUp(device: XlaDevice, { quiet }: { quiet: boolean }): Promise<string> {
  const library = pluginLibrary(device);
  const { folder: name, packages } = XLA_PLUGINS[device];
  const [folder, partial] = [cacheFolder(name), cacheFolder(`${name}.partial`)];
  if (folder !== undefined && partial !== undefined && !isPluginThere(device)) {
    if (!quiet) {
      console.log(`fetching ${packages[0]}${packages.length > 1 ? " and CUDA's libraries" : ""} from PyPI`);
    }
    await pipInstall({ what: "XLA", folder: partial, packages, quiet });
    await Deno.rename(partial, folder);
  }
  return `${library} is there, PJRT API ${new PjrtApi(library).version}`;
}
