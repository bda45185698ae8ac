import { fileURLToPath } from "node:url";
import { ENGINE_PACKAGES } from "./engine_packages.ts";

/** TensorFlow.js for native TensorFlow. */
export const TENSORFLOW_PACKAGE = ENGINE_PACKAGES.tensorflow;

/** The native part, inside the package's folder. */
export const BINDING = "lib/napi-v8/tfjs_binding.node";

/** The folder into which Deno has put an npm package, fetched if need be; it ends with a slash. */
export async function packageFolder(specifier: string): Promise<string> {
  const manifest = `${specifier}/package.json`;
  await import(manifest, { with: { type: "json" } });
  return fileURLToPath(new URL(".", import.meta.resolve(manifest)));
}
