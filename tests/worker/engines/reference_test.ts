import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { open } from "../../../worker/engines/reference.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { engineContract } from "./contract.ts";
import { KEY, randomBatch, withRig } from "./rig.ts";

engineContract({ name: "reference", open, threads: [1] });

Deno.test("reference: no tensor is left behind by steps, scores, logits and decoding", async () => {
  const model = await tinyModel(tinyConfig({ dropout: 0.2 }));
  const shape = { batchSize: 2, length: 4 };
  const batch = randomBatch(model.config, shape);
  await withRig({ model, open }, async ({ engine, gradient }) => {
    const trainer = await engine.trainer(shape);
    const scorer = await engine.scorer(shape);
    const decoder = await engine.decoder({ batchSize: 1, length: 2 });
    const round = async () => {
      await trainer.gradients(batch, gradient, KEY);
      await scorer.likelihood(batch);
      await decoder.prefill(Int32Array.of(1, 2), Int32Array.of(2));
      await decoder.append(Int32Array.of(3));
      return tf.memory().numTensors;
    };
    const after = await round();
    assert.equal(await round(), after);
  });
  assert.equal(tf.memory().numTensors, 0);
});
