import assert from "node:assert/strict";
import { gpuEnvironment } from "../../../coordinator/launch/local.ts";

Deno.test("gpuEnvironment() gives each worker one GPU, in turn", () => {
  const seen = [0, 1, 2].map((localRank) => gpuEnvironment(["3", "GPU-5a1c"], localRank));
  assert.deepEqual(seen, [
    { CUDA_VISIBLE_DEVICES: "3" },
    { CUDA_VISIBLE_DEVICES: "GPU-5a1c" },
    { CUDA_VISIBLE_DEVICES: "3" },
  ]);
});

Deno.test("gpuEnvironment() leaves the environment as it is where no GPU is dealt", () => {
  assert.deepEqual(gpuEnvironment([], 1), {});
});
