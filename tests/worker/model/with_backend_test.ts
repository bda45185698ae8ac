import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { withBackend } from "../../../worker/model/with_backend.ts";

tf.enableProdMode(); // no advice to install another backend

const cpu = tf.findBackend("cpu");
tf.registerBackend("other", () => cpu);

Deno.test("withBackend() sets the backend for the work alone, and hands on its result or error", async () => {
  await tf.setBackend("cpu");
  assert.equal(await withBackend("other", () => `${tf.getBackend()} ${1 + 1}`), "other 2");
  assert.equal(tf.getBackend(), "cpu");
  const mine = new Error("mine");
  await assert.rejects(
    withBackend("other", () => {
      throw mine;
    }),
    mine,
  );
  assert.equal(tf.getBackend(), "cpu");
});

Deno.test("withBackend() takes turns in the order of the calls, after a failure too", async () => {
  const seen: string[] = [];
  const work = (backend: string) => withBackend(backend, () => seen.push(tf.getBackend()));
  const failing = assert.rejects(withBackend("missing", () => {}));
  await Promise.all([work("other"), failing, work("cpu"), work("other")]);
  assert.deepEqual(seen, ["other", "cpu", "other"]);
  assert.equal(tf.getBackend(), "cpu");
});
