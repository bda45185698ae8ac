import assert from "node:assert/strict";

const MODULE = new URL("../../../worker/engines/onnxruntime.ts", import.meta.url).href;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

Deno.test("loadOnnxRuntime() keeps ONNX Runtime's telemetry off: no file of it in the temporary folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const code = `import { loadOnnxRuntime } from ${JSON.stringify(MODULE)};
      loadOnnxRuntime();
      await new Promise((resolve) => setTimeout(resolve, 500)); // it starts a little later
      console.log("loaded");`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", `--config=${CONFIG}`, code],
      env: { TMPDIR: folder, ORT_DISABLE_TELEMETRY: "" },
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "loaded\n");
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
