import { fileURLToPath } from "node:url";
import { about, truth } from "../../shared/config/kinds.ts";
import { CONFIG_OPTION } from "../../shared/own_process.ts";
import { defineCommand } from "./command.ts";

const BUILDER = fileURLToPath(new URL("./tensorflow_binding.ts", import.meta.url));

/** `setup-tensorflow [--cuda]`: the way to {@link BUILDER} for who has installed the program. */
export const command = defineCommand({
  summary: "Build the native binding of the engine tensorflow against PyPI's TensorFlow",
  usage: "[--cuda]",
  options: {
    cuda: truth().default(false).register(about, { help: "For NVIDIA GPUs" }),
  },
  example: "lockstep setup-tensorflow --cuda",
  async run({ options: { cuda } }) {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", CONFIG_OPTION, BUILDER, ...(cuda ? ["--cuda"] : [])],
    }).spawn().status;
    return code;
  },
});
