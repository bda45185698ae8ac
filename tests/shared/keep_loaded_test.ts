import assert from "node:assert/strict";
import { keepLoaded } from "../../shared/keep_loaded.ts";

/** What a thread does that opens ONNX Runtime, as a worker's thread for computation does. */
const OPEN = `
  import { loadOnnxRuntime } from ${
  JSON.stringify(import.meta.resolve("../../worker/engines/onnxruntime.ts"))
};
  loadOnnxRuntime();
  self.postMessage(1);
`;

/** Whether a library is in this process's memory. */
function isLoaded(name: string): boolean {
  return Deno.readTextFileSync("/proc/self/maps").includes(name);
}

Deno.test("keepLoaded() leaves libraries that are not there as they are", () => {
  keepLoaded("/no/such/library.so");
});

Deno.test({
  name: "keepLoaded() keeps ONNX Runtime in memory when the thread that opened it has ended",
  ignore: Deno.build.os !== "linux" || Deno.build.arch !== "x86_64",
  async fn() {
    const url = URL.createObjectURL(new Blob([OPEN], { type: "text/typescript" }));
    const thread = new Worker(url, { type: "module" });
    await new Promise((resolve) => thread.onmessage = resolve);
    thread.terminate();
    URL.revokeObjectURL(url);
    await new Promise((resolve) => setTimeout(resolve, 200)); // the thread ends by itself
    assert.ok(isLoaded("libonnxruntime.so"));
  },
});
