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

Deno.test("chooseEngine() refuses a device that no engine computes on", () => {
  assert.throws(() => chooseEngine({ engine: "auto", device: "cuda" }), {
    code: "E_ENGINE",
    message: "Cannot compute on cuda: no engine for it is built yet; use --device=cpu",
  });
});
