import assert from "node:assert/strict";
import type { ModelConfig } from "../../../shared/config/model_config.ts";
import { prepareStepBench } from "../../../worker/bench_step.ts";
import { readOnnxProfile } from "../../../worker/engines/onnx_profile.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const CONFIG: ModelConfig = {
  ...{ n_layer: 2, n_head: 2, n_embd: 32, vocab_size: 65, block_size: 32, bias: false, dropout: 0 },
  ...{ activation: "gelu", attention: "causal", reflex: null },
};

Deno.test("readOnnxProfile() finds all products of a step: their FLOP are those that the model has", async () => {
  await inTempDir(async (dir) => {
    let flops = 0;
    {
      const options = { config: CONFIG, batchSize: 4, length: 32, engine: "onnx", threads: 1 };
      await using bench = await prepareStepBench({ ...options, profile: `${dir}/onnx` });
      flops = bench.flops;
      for (let i = 0; i < 2; i++) await bench.step();
    }
    const [file] = [...Deno.readDirSync(dir)];
    const operators = readOnnxProfile(await Deno.readTextFile(`${dir}/${file.name}`));
    const found = operators.reduce((sum, operator) => sum + operator.flops, 0) / 2;
    // The attention's blocks above the diagonal are not computed, and the first layer's input has no gradient.
    assert.ok(found > 0.85 * flops && found < 1.15 * flops, `${found} of ${flops}`);
    assert.deepEqual(operators.map(({ ms }) => ms), operators.map(({ ms }) => ms).toSorted((a, b) => b - a));
    assert.ok(operators.every(({ calls, bytes }) => calls % 2 === 0 && bytes >= 0));
  });
});

Deno.test("readOnnxProfile() counts operations and bytes of what it is told, and refuses what is no profile", () => {
  const node = (op_name: string, inputs: number[][], outputs: number[][]) => ({
    ...{ cat: "Node", name: `${op_name}_0_kernel_time`, dur: 1500 },
    args: {
      op_name,
      input_type_shape: inputs.map((float) => ({ float })),
      output_type_shape: outputs.map((float) => ({ float })),
    },
  });
  const events = [
    { cat: "Session", name: "model_run", dur: 9, args: {} },
    node("MatMul", [[2, 3, 4], [2, 4, 5]], [[2, 3, 5]]),
    node("Gemm", [[4, 3], [4, 5]], [[3, 5]]), // the left side transposed
    node("MatMul", [[3, 4], [4, 5]], [[3, 5]]),
    node("Add", [[8], [8]], [[8]]),
  ];
  assert.deepEqual(readOnnxProfile(JSON.stringify(events)), [
    {
      operator: "MatMul",
      calls: 2,
      ms: 3,
      flops: 2 * 2 * 60 + 2 * 60,
      bytes: 4 * (24 + 40 + 30 + 12 + 20 + 15),
    },
    { operator: "Gemm", calls: 1, ms: 1.5, flops: 2 * 60, bytes: 4 * (12 + 20 + 15) },
    { operator: "Add", calls: 1, ms: 1.5, flops: 0, bytes: 4 * 24 },
  ]);
  assert.throws(() => readOnnxProfile("{"), { code: "E_DECODE" });
});
