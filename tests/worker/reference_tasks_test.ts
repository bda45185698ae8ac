/** Tasks on text held against transformers' GPT-2 with the same weights: bench/reference_tasks.py made the figures. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { ChoicesTask } from "../../shared/tasks/choices.ts";
import { LambadaTask } from "../../shared/tasks/lambada.ts";
import { openTask, type TaskOptions } from "../../shared/tasks/open_task.ts";
import { addTotals, type Totals } from "../../shared/tasks/task.ts";
import { open } from "../../worker/engines/onnx.ts";
import { Evaluator } from "../../worker/evaluator.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { withRig } from "./engines/rig.ts";
import reference from "./reference_tasks.json" with { type: "json" };
import { tinyConfig, tinyModel } from "./tiny_model.ts";
import { writeTinyText } from "./tiny_run.ts";

/** The public files, where they are. */
const DATA = fileURLToPath(new URL("../../../shared/data", import.meta.url));
const MODEL = tinyConfig({ n_head: 2, n_embd: 16, block_size: 1024, vocab_size: 256, bias: true });

/** The weight at an index of the flat parameters: the script's formula. */
function weight(index: number): number {
  const x = Math.sin(index + 1) * 43758.5453;
  return x - Math.floor(x) - 0.5;
}

/** Hands the tasks' options and a model of bytes with the script's weights to `use`. */
function withModel(use: (options: TaskOptions, evaluator: Evaluator) => Promise<void>): Promise<void> {
  return inTempDir(async (dir) => {
    const { data_dir } = await writeTinyText(dir, "some text".repeat(20), "byte");
    const config = parseRunConfig({ vocab_size: 256 }, { source: "test" });
    const dataset = await openDataset(config);
    await withRig({ model: await tinyModel(MODEL), open }, async ({ engine, parameters }) => {
      parameters.view.forEach((_, i) => parameters.view[i] = weight(i));
      const evaluator = new Evaluator(engine, dataset, config);
      const items = { eval_items: 100, batch_size: 4, block_size: MODEL.block_size };
      await use({ ...config, ...items, data_dir, task_data: DATA }, evaluator);
    });
  });
}

function assertClose(found: readonly number[], wanted: readonly number[], item: number): void {
  assert.equal(found.length, wanted.length, `item ${item}`);
  found.forEach((x, i) =>
    assert.ok(Math.abs(x - wanted[i]) < 1e-3, `item ${item}: ${x} is not ${wanted[i]}`)
  );
}

/** Registers a test that needs the public files. */
function dataTest(title: string, fn: () => Promise<void>): void {
  const ignore = !existsSync(DATA);
  Deno.test({ name: ignore ? `${title} (skipped: the public files are not here)` : title, ignore, fn });
}

for (const name of ["arc_easy", "glue/cola", "glue/sst2"] as const) {
  dataTest(
    `${name} gives transformers' log-likelihoods item by item, and its accuracy`,
    () =>
      withModel(async (options, evaluator) => {
        const task = await openTask(name, options);
        assert.ok(task instanceof ChoicesTask);
        const totals: Totals[] = [];
        const found: number[][] = [];
        for (let batch = 0; batch < task.batchCount; batch++) {
          const output = await evaluator.answer(task.request(batch));
          found.push(...task.likelihoods(batch, output));
          totals.push(task.score(batch, output));
        }
        const wanted = reference[name];
        assert.equal(found.length, wanted.likelihoods.length);
        found.forEach((likelihoods, item) => assertClose(likelihoods, wanted.likelihoods[item], item));
        for (const { name, value } of task.summarize(addTotals(totals))) {
          if (name === "accuracy" || name === "accuracy_norm") assert.equal(value, wanted[name], name);
        }
      }),
  );
}

dataTest(
  "lambada gives transformers' log-likelihoods and greedily decoded tokens item by item",
  () =>
    withModel(async (options, evaluator) => {
      const task = await openTask("lambada", options);
      assert.ok(task instanceof LambadaTask);
      const { likelihoods, decoded } = reference.lambada;
      const totals: Totals[] = [];
      const found: number[] = [];
      const given: number[][] = [];
      for (let batch = 0; batch < task.batchCount; batch++) {
        const request = task.request(batch);
        const output = await evaluator.answer(request);
        totals.push(task.score(batch, output));
        const before = request.kind === "nll" ? found.length : given.length;
        for (let row = 0; row < Math.min(request.batchSize, 100 - before); row++) {
          if (request.kind === "nll") found.push(task.likelihood({ batch, row }, output));
          else given.push(Array.from(output.subarray(row * request.maxNewTokens)));
        }
      }
      assert.equal(found.length, 100);
      assertClose(found, likelihoods.flat(), NaN);
      decoded.forEach((bytes, item) => {
        assert.deepEqual(given[item].slice(0, bytes.length), bytes, `item ${item}`);
      });
      const [accuracy, perplexity] = task.summarize(addTotals(totals));
      assert.ok(accuracy.value <= accuracy.high);
      const mean = likelihoods.reduce((sum, x) => sum + x, 0) / 100;
      assert.ok(Math.abs(Math.log(perplexity.value) + mean) < 1e-3);
    }),
);
