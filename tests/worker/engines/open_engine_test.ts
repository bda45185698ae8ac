import assert from "node:assert/strict";
import { engineNames, openEngine } from "../../../worker/engines/open_engine.ts";
import { open as openReference } from "../../../worker/engines/reference.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { randomBatch, stepOf, withRig } from "./rig.ts";

Deno.test("openEngine() opens the engines that need no set-up, by name", async () => {
  const model = await tinyModel(tinyConfig());
  assert.deepEqual(engineNames, ["onnx", "reference", "tensorflow", "webgpu", "xla"]);
  for (const name of ["onnx", "reference"]) {
    await withRig({ model, open: (options) => openEngine(name, options) }, ({ engine }) => {
      assert.deepEqual([engine.name, engine.device], [name, "cpu"]);
      return Promise.resolve();
    });
  }
});

Deno.test("openEngine() refuses an engine that it does not know, and names those that it does", async () => {
  const model = await tinyModel(tinyConfig());
  for (const name of ["xla9", "constructor"]) {
    await assert.rejects(
      withRig({ model, open: (options) => openEngine(name, options) }, () => Promise.resolve()),
      {
        code: "E_ENGINE",
        message: `Cannot use the engine ${name}: known are onnx, reference, tensorflow, webgpu, xla`,
      },
    );
  }
});

Deno.test("openEngine() refuses a dtype that an engine does not compute in", async () => {
  const model = await tinyModel(tinyConfig());
  for (const name of ["onnx", "tensorflow", "webgpu", "reference"]) {
    await assert.rejects(
      withRig(
        { model, open: (options) => openEngine(name, { ...options, dtype: "bfloat16" }) },
        () => Promise.resolve(),
      ),
      {
        code: "E_ENGINE",
        message:
          `Cannot compute in bfloat16 with the engine ${name}, which knows float32: use --engine=xla or --dtype=float32`,
      },
    );
  }
});

const model = await tinyModel(tinyConfig());
const batch = randomBatch(model.config, { batchSize: 2, length: 4 });
const withNative = await withRig({ model, open: openReference }, (rig) => stepOf(rig, batch));

Deno.test({
  name: "openEngine() opens the reference where native code is not allowed, with the same bits",
  permissions: { ffi: false, read: true, env: true },
  fn: async () => {
    const without = await withRig(
      { model, open: (options) => openEngine("reference", options) },
      (rig) => stepOf(rig, batch),
    );
    assert.deepEqual(without, withNative);
  },
});
