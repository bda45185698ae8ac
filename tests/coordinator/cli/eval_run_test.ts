import assert from "node:assert/strict";
import { join } from "node:path";
import { evalRun } from "../../../coordinator/cli/eval_run.ts";
import { exportModel } from "../../../worker/export/export_model.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { writeTinyRun, writeTinyText } from "../../worker/tiny_run.ts";

Deno.test("evalRun() evaluates weights that are no run's, and leaves nothing beside them", () =>
  inTempDir(async (dir) => {
    const config = await writeTinyText(dir, "To be, or not to be: né?\n".repeat(100));
    const weights = join(dir, "weights");
    await exportModel(await writeTinyRun(join(dir, "run"), { config }), { format: "hf", out: weights });
    const before = await Array.fromAsync(Deno.readDir(weights), ({ name }) => name);
    const { step, results } = await evalRun({
      run: weights,
      tasks: ["perplexity"],
      overrides: { data_dir: config.data_dir, engine: "reference", nproc_per_node: 1 },
    });
    assert.equal(step, 0);
    const perplexity = results[0].metrics.find(({ name }) => name === "perplexity");
    // Untrained, the model is nearly as perplexed as one that guesses among its characters.
    assert.ok(Math.abs((perplexity?.value ?? 0) - config.vocab_size) < 0.05 * config.vocab_size);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(weights), ({ name }) => name), before);
  }));
