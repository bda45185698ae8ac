import assert from "node:assert/strict";
import { readFlat } from "../../shared/checkpoint/safetensors.ts";
import { readManifest } from "../../shared/checkpoint/manifest.ts";
import { readMetrics } from "../../shared/metrics.ts";
import { assertRefused, type Sandbox, sandbox, TINY } from "./support.ts";

const WORDS = [...TINY, "--nproc_per_node=1", "--lr_decay_iters=40", "--log_interval=10"];
const SIZE = 14_544;

async function weights(box: Sandbox, run: string): Promise<Float32Array> {
  const numbers = new Float32Array(SIZE);
  await readFlat(box.path(run, "checkpoints", "step-00000040", "model.safetensors"), [numbers]);
  return numbers;
}

Deno.test("train resumes a run on another engine and back, warns of its bits, and keeps the history", async () => {
  await using box = await sandbox();
  const expected = await box.train("onnx", WORDS);
  await box.train("run", [...WORDS, "--max_iters=10"]);
  const resume = async (...words: string[]) => {
    const ended = await box.run(["train", "--init_from=resume", "--out_dir=run", ...words]);
    assert.equal(ended.code, 0, ended.err);
    return { first: ended.out.split("\n")[0], err: ended.err.trim() };
  };

  const there = await resume("--engine=reference", "--max_iters=20");
  assert.match(there.first, /engine reference.*\(--engine=reference; .*from step 10$/);
  assert.equal(
    there.err,
    "warning the run was computed by onnx on cpu up to here; from step 10 on its bits are those of reference on " +
      "cpu, and only that engine gives them again",
  );
  const stays = await resume("--max_iters=30");
  assert.match(stays.first, /engine reference/);
  assert.equal(stays.err, "");
  const back = await resume("--engine=onnx", "--max_iters=40");
  assert.match(back.err, /computed by reference on cpu up to here; from step 30 on .* onnx on cpu/);

  const { changes, numerics } = await readManifest(box.path("run", "manifest.json"));
  assert.deepEqual(
    [...changes.map(({ until, numerics }) => `${numerics.engine} to ${until}`), numerics.engine],
    ["onnx to 10", "reference to 30", "onnx"],
  );
  // Other bits, the same training.
  assert.notEqual(await box.weights("run"), expected);
  const [found, wanted] = await Promise.all([weights(box, "run"), weights(box, "onnx")]);
  const apart = found.reduce((most, x, i) => Math.max(most, Math.abs(x - wanted[i])), 0);
  assert.ok(apart < 1e-3, `weights are ${apart} apart`);
  const logged = await Array.fromAsync(readMetrics(box.path("run", "metrics.jsonl")));
  assert.deepEqual(logged.map(({ step }) => step), [0, 9, 10, 19, 20, 29, 30, 39]);
});

Deno.test("train goes on with the engine that computed the run so far, also where its configuration leaves it open", async () => {
  await using box = await sandbox();
  const expected = await box.train("whole", [...WORDS, "--max_iters=10", "--engine=reference"]);
  await box.train("run", [...WORDS, "--max_iters=5", "--engine=reference"]);
  const config = box.path("run", "config.toml");
  const text = await Deno.readTextFile(config);
  await Deno.writeTextFile(config, text.replace('engine = "reference"', 'engine = "auto"'));
  const resumed = await box.run(["train", "--init_from=resume", "--out_dir=run", "--max_iters=10"]);
  assert.match(resumed.out.split("\n")[0], /engine reference, .*\(as the run was computed so far/);
  assert.equal(await box.weights("run"), expected);
});

Deno.test("train --deterministic refuses to resume on another engine", async () => {
  await using box = await sandbox();
  await box.train("run", [...WORDS, "--max_iters=5", "--deterministic"]);
  const words = ["train", "--init_from=resume", "--out_dir=run", "--max_iters=6"];
  assertRefused(await box.run([...words, "--engine=reference"]), {
    status: 1,
    code: "E_NUMERICS",
    words: ["--deterministic", "onnx on cpu", "reference on cpu", "--engine=onnx"],
  });
  await box.train("run", words.slice(1));
});
