import assert from "node:assert/strict";
import { chooseEngine } from "../../../worker/engines/choose_engine.ts";

Deno.test("chooseEngine() takes the engine that is named, and says so", () => {
  assert.deepEqual(chooseEngine({ engine: "reference", device: "auto" }), {
    name: "reference",
    device: "cpu",
    reason: "--engine=reference",
  });
});

Deno.test({
  name: "chooseEngine() takes onnx where native code is allowed",
  permissions: { ffi: true },
  fn: () => assert.equal(chooseEngine({ engine: "auto", device: "cpu" }).name, "onnx"),
});

Deno.test({
  name: "chooseEngine() takes the reference where native code is denied, and names the loss of speed",
  permissions: { ffi: false },
  fn: () => {
    const { name, reason } = chooseEngine({ engine: "auto", device: "auto" });
    assert.equal(name, "reference");
    assert.match(reason, /slower, because --allow-ffi is denied/);
  },
});

Deno.test("chooseEngine() takes webgpu where that device is named", () => {
  const { name, device } = chooseEngine({ engine: "auto", device: "webgpu" });
  assert.deepEqual([name, device], ["webgpu", "webgpu"]);
});

Deno.test("chooseEngine() refuses a device on which the engine does not compute", () => {
  assert.throws(() => chooseEngine({ engine: "onnx", device: "webgpu" }), {
    code: "E_ENGINE",
    message: "Cannot compute on webgpu with the engine onnx: it computes on cpu",
  });
  assert.equal(chooseEngine({ engine: "./mine.ts", device: "webgpu" }).device, "webgpu");
});

const hasNvidia = await Deno.stat("/dev/nvidiactl").then(() => true, () => false);

Deno.test({
  name: `chooseEngine() refuses cuda where no NVIDIA GPU shows${hasNvidia ? " (skipped: there is one)" : ""}`,
  ignore: hasNvidia,
  fn() {
    for (const engine of ["auto", "tensorflow"]) {
      assert.throws(() => chooseEngine({ engine, device: "cuda" }), {
        code: "E_ENGINE",
        message: /no NVIDIA GPU/,
      });
    }
  },
});
