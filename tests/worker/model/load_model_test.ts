import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256 } from "../../../shared/hash.ts";
import { open as openOnnx } from "../../../worker/engines/onnx.ts";
import { open as openReference } from "../../../worker/engines/reference.ts";
import { loadModel } from "../../../worker/model/load_model.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { KEY, randomBatch, stepOf, withRig } from "../engines/rig.ts";
import { tinyConfig } from "../tiny_model.ts";

/** A bag of words: logits of the mean embedding so far, through a hidden layer with relu and dropout. */
const OWN_MODEL = `
import * as tf from "@tensorflow/tfjs";

export function parameters({ vocab_size, n_embd }) {
  const normal = { kind: "normal", std: 0.1 };
  return [
    { name: "embedding", shape: [vocab_size, n_embd], init: normal },
    { name: "hidden", shape: [n_embd, n_embd], init: normal },
    { name: "shift", shape: [n_embd], init: { kind: "constant", value: 0.5 } },
  ];
}

export function logits({ embedding, hidden, shift }, tokens, { vocab_size, n_embd }, context) {
  const [B, T] = tokens.shape;
  const words = tf.gather(embedding, tokens); // (B, T, C)
  const row = tf.expandDims(tf.range(0, T), 1);
  const seen = tf.cast(tf.lessEqual(tf.reshape(tf.range(0, T), [1, T]), row), "float32");
  const means = tf.div(tf.matMul(tf.tile(tf.expandDims(seen, 0), [B, 1, 1]), words), tf.add(row, 1));
  const x = tf.relu(tf.add(tf.matMul(tf.reshape(means, [B * T, n_embd]), hidden), shift));
  return tf.reshape(tf.matMul(context.dropout(x), embedding, false, true), [B, T, vocab_size]);
}
`;

const withModule = (source: string, work: (path: string) => Promise<void>, name = "model.ts") =>
  inTempDir(async (dir) => {
    const path = join(dir, name);
    await Deno.writeTextFile(path, source);
    await work(path);
  });

Deno.test("loadModel() lays the parameters out one after the other, and hashes a user's module", () =>
  withModule(OWN_MODEL, async (path) => {
    const { parameters, size, source, module } = await loadModel(tinyConfig(), path);
    assert.deepEqual(parameters.map(({ name, offset, size }) => [name, offset, size]), [
      ["embedding", 0, 66],
      ["hidden", 66, 36],
      ["shift", 102, 6],
    ]);
    assert.deepEqual([size, source, module.cached], [108, sha256(OWN_MODEL), false]);
    assert.equal((await loadModel(tinyConfig(), null)).source, "gpt");
  }));

Deno.test("loadModel() takes a path with any character", () =>
  withModule(OWN_MODEL, async (path) => {
    assert.equal((await loadModel(tinyConfig(), path)).size, 108);
  }, "my model #1 50%.ts"));

Deno.test("a user's model computes the same gradients on onnx as on reference, with dropout too", () =>
  withModule(OWN_MODEL, async (path) => {
    for (const dropout of [0, 0.3]) {
      const model = await loadModel(tinyConfig({ dropout }), path);
      const batch = randomBatch(model.config, { batchSize: 3, length: 8 });
      const [onnx, reference] = await Promise.all(
        [openOnnx, openReference].map((open) => withRig({ model, open }, (rig) => stepOf(rig, batch))),
      );
      assert.ok(Math.abs(onnx.loss - reference.loss) < 1e-6);
      onnx.gradient.forEach((x, i) => assert.ok(Math.abs(x - reference.gradient[i]) < 1e-6, `entry ${i}`));
      assert.ok(onnx.gradient.some((x) => x !== 0));
    }
  }));

for (const [engineName, open] of [["onnx", openOnnx], ["reference", openReference]] as const) {
  Deno.test(`a user's model trains on ${engineName}: its loss falls`, () =>
    withModule(OWN_MODEL, async (path) => {
      const model = await loadModel(tinyConfig(), path);
      const shape = { batchSize: 4, length: 8 };
      const batch = randomBatch(model.config, shape);
      batch.targets.set(batch.tokens); // each token is to be repeated
      await withRig({ model, open }, async ({ engine, parameters, gradient }) => {
        const trainer = await engine.trainer(shape);
        const losses: number[] = [];
        for (let step = 0; step < 40; step++) {
          losses.push(await trainer.gradients(batch, gradient, { ...KEY, step }));
          gradient.view.forEach((g, i) => parameters.view[i] -= 0.5 * g);
        }
        assert.ok(losses[39] < losses[0] - 0.4, `${losses[0]} → ${losses[39]}`);
      });
    }));

  Deno.test(`a user's model decodes on ${engineName} as its whole context does`, () =>
    withModule(OWN_MODEL, async (path) => {
      const model = await loadModel(tinyConfig(), path);
      await withRig({ model, open }, async ({ engine }) => {
        const decoder = await engine.decoder({ batchSize: 1, length: 2 });
        const history = [4, 7];
        let logits = await decoder.prefill(Int32Array.from(history), Int32Array.of(2));
        for (let index = 0; index < 9; index++) {
          const recent = history.slice(-8);
          const forward = await engine.forward({ batchSize: 1, length: recent.length });
          const expected = (await forward.logits(Int32Array.from(recent))).slice(-11);
          logits.forEach((x, i) => assert.ok(Math.abs(x - expected[i]) < 1e-5));
          history.push((3 * index) % 11);
          logits = await decoder.append(Int32Array.of(history[history.length - 1]));
        }
      });
    }));
}

/** Modules that are no model, and what is said about them. */
const REFUSED: Record<string, { source: string; sentence: RegExp }> = {
  "nothing": {
    source: "",
    sentence: /^Cannot use .* as a model: it must export the functions .*, and exports nothing$/,
  },
  "no logits": {
    source: "export function parameters() { return []; }",
    sentence: /logits\(params, tokens, config\), and exports parameters$/,
  },
  "values that are no functions": {
    source: "export const logits = 1; export const parameters = [];",
    sentence: /and exports logits, parameters$/,
  },
  "an error": { source: "throw new Error('mine');", sentence: /^Cannot load the model .*: mine$/ },
  "a mistake of syntax": { source: "export function (", sentence: /^Cannot load the model [^\n]*$/ },
};

for (const [title, { source, sentence }] of Object.entries(REFUSED)) {
  Deno.test(`loadModel() refuses a module with ${title}`, () =>
    withModule(
      source,
      (path) => assert.rejects(loadModel(tinyConfig(), path), { code: "E_MODEL", message: sentence }),
    ));
}

Deno.test("loadModel() refuses a module that is not there", () =>
  inTempDir((dir) => {
    const sentence = /^Cannot load the model .*missing\.ts: Module not found/;
    return assert.rejects(loadModel(tinyConfig(), join(dir, "missing.ts")), {
      code: "E_MODEL",
      message: sentence,
    });
  }));
