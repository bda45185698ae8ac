import assert from "node:assert/strict";
import { describeAdapter, isSoftware } from "../../../worker/engines/adapter.ts";

Deno.test("isSoftware() knows adapters that compute on a CPU by what they say or by their names", () => {
  for (
    const name of [
      "llvmpipe (LLVM 15.0.6, 256 bits)",
      "SwiftShader Device (Subzero)",
      "lavapipe",
      "Microsoft Basic Render Driver",
    ]
  ) assert.equal(isSoftware({ name, isFallbackAdapter: false }), true, name);
  assert.equal(isSoftware({ name: "something new", isFallbackAdapter: true }), true);
  for (
    const name of ["NVIDIA L4", "AMD Radeon RX 7900 XTX (RADV NAVI31)", "Apple M3", "Intel(R) Arc(tm) A770"]
  ) {
    assert.equal(isSoftware({ name, isFallbackAdapter: false }), false, name);
  }
});

Deno.test("describeAdapter() shows name, power preference and limit, and calls software so", () => {
  const bufferBytes = 2 ** 31;
  assert.equal(
    describeAdapter({ name: "NVIDIA L4", software: false, bufferBytes }),
    "NVIDIA L4, power preference high-performance, buffers of up to 2,048 MiB",
  );
  assert.match(
    describeAdapter({ name: "llvmpipe", software: true, bufferBytes }),
    /^llvmpipe, a software adapter that computes on the CPU, power/,
  );
});
