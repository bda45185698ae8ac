/**
 * The contract on an engine that needs more than this checkout: `deno test -A --no-lock device_engine_suite.ts -- NAME [all]`.
 * Run by device_engines_test.ts in a process of its own, so that its packages enter no lock file. With `all` it passes every
 * reference case, otherwise each third one.
 */
import assert from "node:assert/strict";
import { basename } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { openEngine } from "../../../worker/engines/open_engine.ts";
import type { EngineOptions } from "../../../worker/engines/engine.ts";
import { verify } from "../../../worker/verify.ts";
import { fixtureDirectories } from "../../fixtures.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { engineContract } from "./contract.ts";
import { KEY, randomBatch, withRig } from "./rig.ts";

const [name, which = "some"] = Deno.args;
const open = (options: EngineOptions) => openEngine(name, options);

engineContract({ name, open, threads: [1] });

for (const directory of fixtureDirectories().filter((_, i) => which === "all" || i % 3 === 0)) {
  Deno.test(`verify() passes on ${name}: ${basename(directory)}`, async () => {
    const verdict = await verify(directory, name);
    assert.ok(verdict.pass, JSON.stringify(verdict));
  });
}

Deno.test(`${name}: no tensor is left behind by 500 steps`, async () => {
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
