import assert from "node:assert/strict";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { exportModel } from "../../../worker/export/export_model.ts";
import { loadCheckpoint } from "../../../worker/load_checkpoint.ts";
import { withBackend } from "../../../worker/model/with_backend.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { serveFolder } from "../../browser/static_server.ts";
import { fillMixed } from "../tiny_model.ts";
import { writeTinyRun } from "../tiny_run.ts";

const TOKENS = [7, 1, 3, 9, 10, 1];

const VARIANTS: Record<string, Record<string, unknown>> = {
  "plain attention": { bias: true },
  "tanh GELU": { activation: "gelu_tanh" },
  reflex: { attention: "reflex", n_layer: 3, reflex: { heads: [1, 1, 0] } },
  "top_k": {
    attention: "reflex",
    n_layer: 3,
    reflex: { heads: [1, 1, 0], depth: "all", combine: "top_k", top_k: 1 },
  },
  router: { attention: "router" },
};

for (const [name, keys] of Object.entries(VARIANTS)) {
  Deno.test(`exportModel() as tfjs holds ${name}: tf.loadGraphModel() gives the same logits, token by token`, () =>
    inTempDir(async (dir) => {
      const weights = (_step: number, { size }: Model) => {
        const values = new Float32Array(size);
        fillMixed(values);
        return values;
      };
      const config = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11, ...keys };
      const run = await writeTinyRun(join(dir, "run"), { config, weights });
      await exportModel(run, { format: "tfjs", out: join(dir, "out") });
      await using checkpoint = await loadCheckpoint(run);
      const expected = await checkpoint.logits(TOKENS);
      await using server = serveFolder(join(dir, "out"));
      const model = await tf.loadGraphModel(`${server.url}model.json`);
      const logits = await withBackend("cpu", () => readAll(model, TOKENS));
      for (const [at, row] of logits.entries()) {
        const wanted = expected.subarray(at * 11, (at + 1) * 11);
        assert.ok(row.every((x, i) => Math.abs(x - wanted[i]) < 1e-4), `${at}`);
      }
      model.dispose();
    }));
}

/** The logits after each of `tokens`, every present handed on as the next past. */
function readAll(model: tf.GraphModel, tokens: readonly number[]): Float32Array[] {
  const names = model.outputs.map(({ name }) => name);
  const isPast = ({ name }: { name: string }) => name.startsWith("past.");
  let past = Object.fromEntries(
    model.inputs.filter(isPast).map(({ name, shape }) => [name, tf.zeros([...shape ?? []])]),
  );
  return tokens.map((token, at) => {
    const inputs = {
      tokens: tf.tensor2d([token], [1, 1], "int32"),
      positions: tf.tensor1d([at], "int32"),
      ...past,
    };
    const made = [model.execute(inputs, names)].flat();
    const logits = made[names.indexOf("logits")].dataSync<"float32">().slice();
    past = Object.fromEntries(
      names.flatMap((name, i) => name === "logits" ? [] : [[name.replace(/^present/, "past"), made[i]]]),
    );
    return logits;
  });
}
