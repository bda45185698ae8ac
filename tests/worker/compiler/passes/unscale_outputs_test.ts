import assert from "node:assert/strict";
import { unscaleOutputs } from "../../../../worker/compiler/passes/unscale_outputs.ts";
import { build, float, printed } from "./pass_support.ts";

Deno.test("unscaleOutputs() multiplies every output by one more input", () => {
  const graph = build({ x: float(2) }, ({ x }, emit) => ({ y: emit("exp", [x], {}), z: x }));
  assert.equal(
    printed(unscaleOutputs(graph)),
    `\
input x: float32[2]
input unscale: float32[]
%0: float32[2] = exp(x)
%1: float32[2] = mul(%0, unscale)
%2: float32[2] = mul(x, unscale)
output y = %1
output z = %2
`,
  );
});
