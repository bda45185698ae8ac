/** The contract on native TensorFlow. Run by tensorflow_test.ts in a process of its own, whose packages enter no lock file. */
import assert from "node:assert/strict";
import { basename } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { open } from "../../../worker/engines/tensorflow.ts";
import { verify } from "../../../worker/verify.ts";
import { fixtureDirectories } from "../../fixtures.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { engineContract } from "./contract.ts";
import { KEY, randomBatch, withRig } from "./rig.ts";

engineContract({ name: "tensorflow", open, threads: [1] });

for (const directory of fixtureDirectories()) {
  Deno.test(`verify() passes on tensorflow: ${basename(directory)}`, async () => {
    const verdict = await verify(directory, "tensorflow");
    assert.ok(verdict.pass, JSON.stringify(verdict));
  });
}

Deno.test("tensorflow: no tensor is left behind by 500 steps", async () => {
  const model = await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.2 }));
  const shape = { batchSize: 2, length: 4 };
  const batch = randomBatch(model.config, shape);
  await withRig({ model, open }, async ({ engine, gradient }) => {
    const trainer = await engine.trainer(shape);
    await trainer.gradients(batch, gradient, KEY);
    const before = tf.memory().numTensors;
    for (let step = 0; step < 500; step++) await trainer.gradients(batch, gradient, { ...KEY, step });
    assert.equal(tf.memory().numTensors, before);
  });
});
