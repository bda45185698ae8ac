/**
 * npm packages of engines that most runs never use. Their versions are written here and not in deno.json, because
 * `deno task` fetches all that stands there at its first start.
 */
export const ENGINE_PACKAGES: Readonly<Record<string, string>> = {
  tensorflow: "npm:@tensorflow/tfjs-node-gpu@4.22.0",
  webgpu: "npm:@tensorflow/tfjs-backend-webgpu@4.22.0",
};
