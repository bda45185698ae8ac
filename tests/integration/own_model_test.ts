import assert from "node:assert/strict";
import { readManifest } from "../../shared/checkpoint/manifest.ts";
import { sha256 } from "../../shared/hash.ts";
import { assertRefused, sandbox, TINY } from "./support.ts";

/** Two tokens' embeddings decide: its own, and through a layer with dropout the one before. */
const MODEL = `
import * as tf from "@tensorflow/tfjs";

export function parameters({ vocab_size, n_embd }) {
  const init = { kind: "normal", std: 0.1 };
  return [
    { name: "embedding", shape: [vocab_size, n_embd], init },
    { name: "before", shape: [n_embd, n_embd], init },
  ];
}

export function logits({ embedding, before }, tokens, { vocab_size, n_embd }, context) {
  const [B, T] = tokens.shape;
  const x = tf.gather(embedding, tokens); // (B, T, C)
  const earlier = tf.pad(tf.slice(x, [0, 0, 0], [B, T - 1, n_embd]), [[0, 0], [1, 0], [0, 0]]);
  const mixed = context.dropout(tf.relu(tf.matMul(tf.reshape(earlier, [B * T, n_embd]), before)));
  const y = tf.add(tf.reshape(x, [B * T, n_embd]), mixed);
  return tf.reshape(tf.matMul(y, embedding, false, true), [B, T, vocab_size]);
}
`;

Deno.test("train takes a user's model: the same bytes from 1 and 2 workers, its hash in the manifest, a changed file refused", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("my_model.ts"), MODEL);
  const words = [...TINY, "--model=./my_model.ts", "--dropout=0.1", "--eval_items=8"];
  const expected = await box.train("one", [...words, "--nproc_per_node=1"]);
  assert.equal(await box.train("two", [...words, "--nproc_per_node=2"]), expected);
  const { numerics } = await readManifest(box.path("two", "manifest.json"));
  assert.deepEqual(numerics.model_module, { path: "./my_model.ts", sha256: sha256(MODEL) });
  assert.equal(await box.train("two", ["--init_from=resume", "--nproc_per_node=1"]), expected);

  await Deno.writeTextFile(box.path("my_model.ts"), MODEL.replace("relu", "tanh"));
  const resume = ["train", "--init_from=resume", "--out_dir=two"];
  assertRefused(await box.run(resume), { status: 1, code: "E_CONFIG_HASH", words: ["model_module.sha256"] });
  await Deno.remove(box.path("my_model.ts"));
  assertRefused(await box.run(resume), { status: 2, code: "E_MODEL", words: ["./my_model.ts"] });
});
