import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LockstepError } from "../../shared/errors.ts";
import { CONFIG_OPTION } from "../../shared/own_process.ts";

/**
 * What runs exported models in browsers. Its version is written here and not in deno.json, because `deno task` fetches all
 * that stands there at its first start.
 */
export const ONNXRUNTIME_WEB = "npm:onnxruntime-web@1.30.0";

/** ONNX Runtime for browsers: the module, and the WebAssembly that it loads from beside it. */
const FILES = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"] as const;

/** Prints where the package lies, once Deno has fetched it. */
const LOCATE = `
  const part = "${ONNXRUNTIME_WEB}/ort-wasm-simd-threaded.mjs";
  await import(part);
  console.log(import.meta.resolve(part));
`;

/**
 * Copies ONNX Runtime for browsers into `folder`, 14 MB; the package is fetched from npm if Deno has not got it yet. It is done
 * in a process of its own, without the program's lock file, which holds no such package. Throws E_EXPORT where it cannot be had.
 */
export async function copyOnnxruntimeWeb(folder: string): Promise<void> {
  if (Deno.build.standalone) {
    throw new LockstepError(
      "E_EXPORT",
      `Cannot fetch ${ONNXRUNTIME_WEB} for the page as a compiled executable has no Deno to fetch it with: take --format=onnx`,
    );
  }
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", CONFIG_OPTION, LOCATE],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) {
    const [reason] = new TextDecoder().decode(stderr).trim().split("\n");
    throw new LockstepError("E_EXPORT", `Cannot fetch ${ONNXRUNTIME_WEB} for the page: ${reason}`);
  }
  const from = dirname(fileURLToPath(new TextDecoder().decode(stdout).trim()));
  for (const name of FILES) await Deno.copyFile(join(from, name), join(folder, name));
}
