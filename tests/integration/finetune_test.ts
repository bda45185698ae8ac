import assert from "node:assert/strict";
import { readEvals, readValLosses } from "../../shared/metrics.ts";
import { assertRefused, type Sandbox, sandbox } from "./support.ts";
import { writeTextRun } from "./text_run.ts";

const TUNE = [
  "arc-easy",
  "--task_data=tasks",
  "--learning_rate=0.5", // far too high, so that the losses rise again
  "--warmup_iters=15",
  "--lr_decay_iters=200",
  "--eval_interval=10",
  "--eval_iters=2",
  "--nproc_per_node=1",
];

const measured = async (box: Sandbox, run: string) =>
  (await Array.fromAsync(readEvals(box.path(run, "eval.jsonl"))))
    .filter(({ task }) => task === "arc_easy").map(({ step, metrics }) => ({ step, metrics }));

Deno.test("train arc-easy stops early, also when it is resumed, and evaluates its best checkpoint once", async () => {
  await using box = await sandbox();
  await writeTextRun(box);
  const words = [...TUNE, "--early_stopping_patience=2", "--max_iters=200", "--eval_items=20"];
  const ended = await box.run(["train", ...words, "--init_from=./run", "--out_dir=whole"]);
  assert.equal(ended.code, 0, ended.err);
  const losses = await readValLosses(box.path("whole", "eval.jsonl"));
  const last = Math.max(...losses.keys());
  const [, lowest] = /stops early: of 2 estimates none had a val loss below ([\d.]+), that of step/.exec(
    ended.out,
  ) ?? [];
  assert.ok(last < 200, ended.out);
  const [best] = [...losses].filter(([step]) => step > 0).sort(([, a], [, b]) => a - b)[0];
  assert.equal(best, last - 20);
  assert.equal(losses.get(best)?.toFixed(4), lowest);
  assert.deepEqual((await measured(box, "whole")).map(({ step }) => step), [best]);

  // Half of the estimates that decide were made before it was resumed.
  const part = [...TUNE, "--early_stopping_patience=2", "--out_dir=part"];
  const cut = [...part, "--init_from=./run", `--max_iters=${last - 10}`, "--eval_items=0"];
  await box.train("part", cut);
  const rest = [...part, "--init_from=resume", "--max_iters=200", "--eval_items=20"];
  await box.train("part", rest);
  assert.equal(await box.weights("part"), await box.weights("whole"));
  assert.deepEqual(await measured(box, "part"), await measured(box, "whole"));
  const again = await box.run(["train", ...rest]);
  assert.match(again.err, new RegExp(`step ${best} was evaluated before, and is not again`));
  assert.equal((await measured(box, "part")).length, 1);
});

Deno.test("train arc-easy and eval read questions with the tokenizer that lies beside the weights", async () => {
  await using box = await sandbox();
  await writeTextRun(box);
  const exported = await box.run(["export", "run", "--format=hf", "--out=hf"]);
  assert.equal(exported.code, 0, exported.err);
  const few = [...TUNE, "--max_iters=2", "--eval_items=0"];
  await box.train("of-run", [...few, "--init_from=./run"]);

  const ask = async (of: string) => {
    const words = ["--tasks=lambada,arc_easy", "--task_data=tasks", "--nproc_per_node=1", "--json"];
    const ended = await box.run(["eval", of, ...words]);
    assert.equal(ended.code, 0, ended.err);
    return JSON.parse(ended.out).tasks;
  };
  const asRun = await ask("run");
  await Deno.remove(box.path("data"), { recursive: true });
  assert.deepEqual(await ask("./hf"), asRun);
  await box.train("of-hf", [...few, "--init_from=./hf"]);
  const [ofRun, ofHf] = await Promise.all(
    ["of-run", "of-hf"].map((run) => readValLosses(box.path(run, "eval.jsonl"))),
  );
  assert.ok(Math.abs((ofRun.get(0) ?? NaN) - (ofHf.get(0) ?? NaN)) < 1e-5);

  const config = JSON.parse(await Deno.readTextFile(box.path("hf", "config.json")));
  await Deno.writeTextFile(box.path("hf", "config.json"), JSON.stringify({ ...config, lockstep: undefined }));
  assertRefused(await box.run(["train", ...few, "--init_from=./hf", "--out_dir=none"]), {
    status: 1,
    code: "E_DATA",
    words: ["without a tokenizer", "--data_dir=FOLDER"],
  });
});
