import assert from "node:assert/strict";
import { evalRun } from "../../coordinator/cli/eval_run.ts";
import { readEvals } from "../../shared/metrics.ts";
import { assertRefused, childrenOf, NO_PROC, sandbox } from "./support.ts";
import { writeTextRun } from "./text_run.ts";

const TASKS = ["lambada", "arc_easy", "perplexity"];

Deno.test("train arc-easy fine-tunes a run on answers, with the same weights for 1 and 2 workers", async () => {
  await using box = await sandbox();
  await writeTextRun(box);
  const tune = (name: string, workers: number) =>
    box.train(name, [
      "arc-easy",
      "--init_from=./run",
      "--task_data=tasks",
      "--data_dir=data",
      "--n_layer=1",
      "--n_head=2",
      "--n_embd=8",
      "--block_size=64",
      "--max_iters=60",
      "--learning_rate=1e-2",
      "--eval_interval=30",
      "--eval_iters=2",
      "--eval_items=20",
      `--nproc_per_node=${workers}`,
    ]);
  assert.equal(await tune("one", 1), await tune("two", 2));
  const lines = await Array.fromAsync(readEvals(box.path("one", "eval.jsonl")));
  const losses = lines.filter(({ task }) => task === "estimate").map(({ metrics }) =>
    metrics.val_loss ?? NaN
  );
  assert.ok(losses[losses.length - 1] < losses[0] - 0.5, `${losses}`);
  const noted = lines.filter(({ task }) => task === "arc_easy");
  assert.deepEqual(noted.map(({ step }) => step), [60]);
});

const words = (...more: string[]) => [
  "eval",
  "run",
  `--tasks=${TASKS.join(",")}`,
  "--task_data=tasks",
  "--data_dir=data",
  ...more,
];

Deno.test({
  name: "eval gives the same JSON with 1, 2 and 3 workers, and when one is killed in the middle" +
    (NO_PROC === null ? "" : ` (skipped: ${NO_PROC})`),
  ignore: NO_PROC !== null,
  async fn() {
    await using box = await sandbox();
    await writeTextRun(box);
    const printed: string[] = [];
    for (const count of [1, 2, 3]) {
      const ended = await box.run(words("--json", `--nproc_per_node=${count}`));
      assert.equal(ended.code, 0, ended.err);
      printed.push(ended.out);
    }
    assert.equal(printed[1], printed[0]);
    assert.equal(printed[2], printed[0]);

    const before = new Set(childrenOf(Deno.pid));
    // The library takes the run's own eval_items, of which this one has 0: the usual 1000.
    let killed = 0;
    const { step, results } = await evalRun({
      run: box.path("run"),
      tasks: TASKS,
      overrides: { task_data: box.path("tasks"), data_dir: box.path("data"), nproc_per_node: 3 },
      onProgress(done, of) {
        if (killed > 0 || done !== 2 || of < 4) return;
        const [worker] = childrenOf(Deno.pid).filter((pid) => !before.has(pid));
        Deno.kill(worker, "SIGKILL");
        killed = worker;
      },
    });
    assert.ok(killed > 0);
    const tasks = Object.fromEntries(
      results.map(({ name, metrics }) => [
        name,
        Object.fromEntries(metrics.map(({ name, ...figures }) => [name, figures])),
      ]),
    );
    assert.equal(JSON.stringify({ run: "run", step, tasks }), printed[0].trim());

    const lines = await Array.fromAsync(readEvals(box.path("run", "eval.jsonl")));
    const noted = lines.filter(({ task }) => task === "arc_easy");
    assert.equal(noted.length, 4);
    for (const { metrics } of noted) {
      assert.deepEqual(metrics, noted[0].metrics);
      assert.ok(metrics.accuracy_low !== null && metrics.accuracy_high !== null);
      assert.ok(metrics.accuracy_low < metrics.accuracy_high);
    }
  },
});

Deno.test("eval refuses a task that is too long before anything is computed, and fitting leaves it out", async () => {
  await using box = await sandbox();
  await writeTextRun(box);
  const long = JSON.stringify({ text: "word ".repeat(20) + "end" });
  await Deno.writeTextFile(box.path("tasks", "lambada_test.jsonl"), long);
  assertRefused(await box.run(words()), {
    status: 2,
    code: "E_TASK",
    words: ["lambada", "256 token ids and 102 tokens", "256 and 64", "--tasks=fitting"],
  });
  const ended = await box.run([
    ...words("--tasks=fitting", "--json", "--eval_items=2", "--nproc_per_node=1"),
  ]);
  assert.equal(ended.code, 0, ended.err);
  const { tasks } = JSON.parse(ended.out);
  assert.ok("arc_easy" in tasks && !("lambada" in tasks));
  assert.match(ended.err, /lambada is left out: .*102 tokens/);
});
