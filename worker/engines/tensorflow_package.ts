import { fileURLToPath } from "node:url";

/**
 * TensorFlow.js for native TensorFlow. Its version is written here and not in deno.json, because `deno task` fetches all that
 * stands there at its first start, and most runs never use this.
 */
export const TENSORFLOW_PACKAGE = "npm:@tensorflow/tfjs-node-gpu@4.22.0";

/** The native part, inside the package's folder. */
export const BINDING = "lib/napi-v8/tfjs_binding.node";

/** The folder into which Deno has put an npm package, fetched if need be; it ends with a slash. */
export async function packageFolder(specifier: string): Promise<string> {
  const manifest = `${specifier}/package.json`;
  await import(manifest, { with: { type: "json" } });
  return fileURLToPath(new URL(".", import.meta.resolve(manifest)));
}
