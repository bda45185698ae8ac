import assert from "node:assert/strict";
import { join } from "node:path";
import { command, printReport } from "../../../coordinator/cli/inspect.ts";
import { runCommand } from "../../../coordinator/cli/command.ts";
import { inspectRun } from "../../../coordinator/inspection.ts";
import { createManifest, writeManifest } from "../../../shared/checkpoint/manifest.ts";
import { CheckpointStore } from "../../../shared/checkpoint/store.ts";
import { sha256 } from "../../../shared/hash.ts";
import { openEvals, openMetrics } from "../../../shared/metrics.ts";
import { runDirAt } from "../../../shared/run_dir.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

async function makeRun(path: string): Promise<void> {
  const run = runDirAt(path);
  const numerics = {
    engine: "onnx",
    device: "cpu",
    threads: 1,
    graph: null,
    slice_rows: null,
    engine_module: null,
    model_module: null,
    data: {},
    config: {},
  };
  const manifest = {
    run_id: "r1",
    created: "2026-01-02T03:04:05Z",
    versions: { lockstep: "0.1.0" },
    numerics,
  };
  await writeManifest(run.manifest, createManifest({ ...manifest, git_revision: null }));
  const store = new CheckpointStore(run.checkpoints);
  for (const step of [10, 20]) {
    const writer = await store.begin(step);
    const file = await writer.file("model.safetensors", [{ name: "w", dtype: "F32", shape: [2] }]);
    await file.write(new Uint8Array(8));
    const state = {
      state_hash: sha256(`${step}`),
      config_hash: sha256("c"),
      val_loss: 1.5,
      best_val_loss: 1.5,
    };
    await writer.publish({ state: { ...state, data_position: {} }, best: step === 10 });
  }
  using metrics = await openMetrics(run.metrics);
  metrics.append({
    step: 19,
    loss: 2,
    lr: 1,
    grad_norm: 1,
    tokens: 99,
    tokens_per_sec: 1,
    mfu: null,
    dt_ms: 1,
  });
  using evals = await openEvals(run.evals);
  evals.append({ step: 20, task: "sort", metrics: { exact: 0.5 } });
}

Deno.test("inspectRun() shows a run, and which checkpoint is damaged", async () => {
  await inTempDir(async (dir) => {
    await makeRun(dir);
    await Deno.truncate(join(dir, "checkpoints", "step-00000010", "model.safetensors"), 3);
    const report = await inspectRun(dir);
    assert.deepEqual(
      report.checkpoints.map(({ step, latest, best, state }) => [step, latest, best, state !== null]),
      [
        [10, false, true, false],
        [20, true, false, true],
      ],
    );
    const text = printReport(report).replaceAll(dir, "RUN").split("\n");
    assert.equal(text[0], "run r1 in RUN, started 2026-01-02T03:04:05Z");
    assert.equal(text[1], "  onnx on cpu, 1 thread a worker; lockstep 0.1.0");
    assert.equal(text[3], "last logged: iter 19, loss 2.0000, 99 tokens");
    assert.equal(text[4], "sort after 20 steps: exact 0.5");
    assert.match(
      text[5],
      /^checkpoint 10, BEST: Cannot use .* as its model\.safetensors is damaged: it must have 72 bytes: it has 3$/,
    );
    assert.match(
      text[6],
      /^checkpoint 20, LATEST: verified, 72 bytes, validation loss 1\.5000, state [0-9a-f]{16}$/,
    );
  });
});

Deno.test("inspect refuses a directory without a run, and wrong usage", async () => {
  await inTempDir(async (dir) => {
    const output = { out() {}, err() {} };
    const inspect = (...words: string[]) => runCommand("inspect", command, { words, output });
    await assert.rejects(inspect(dir), { code: "E_OUT_DIR" });
    await assert.rejects(inspect(), { code: "E_USAGE" });
    await assert.rejects(inspect("a", "b"), { code: "E_USAGE" });
  });
});
