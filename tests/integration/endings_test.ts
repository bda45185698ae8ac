import assert from "node:assert/strict";
import {
  assertRefused,
  type Ended,
  isAlive,
  NO_PROC,
  type Sandbox,
  sandbox,
  TINY,
  within,
} from "./support.ts";

/** About 20 ms a step, so that there is time to disturb it. */
const RUN = [...TINY, "--batch_size=8", "--dropout=0.1", "--max_iters=120", "--log_interval=1"];

let undisturbed: Promise<string> | undefined;

/** The weights of RUN. */
function expectedWeights(): Promise<string> {
  return undisturbed ??= (async () => {
    await using box = await sandbox();
    return await box.train("whole", [...RUN, "--nproc_per_node=1"]);
  })();
}

/** Runs the command that a run printed to go on with, less its `deno task cli`. */
async function assertGoesOn(box: Sandbox, { out, err }: Ended, words: readonly string[] = []): Promise<void> {
  const [, command] = /deno task cli (train --init_from=resume .*)$/m.exec(out + err) ?? [];
  assert.ok(command !== undefined, `a command to go on with expected: ${out}${err}`);
  const ended = await box.run([...command.split(" "), ...words]);
  assert.equal(ended.code, 0, ended.err);
  assert.equal(await box.weights("run"), await expectedWeights());
}

function procTest(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: NO_PROC === null ? title : `${title} (skipped: ${NO_PROC})`,
    ignore: NO_PROC !== null,
    fn,
  });
}

procTest(
  "train goes on when workers are killed, starts them again, and ends with the same weights",
  async () => {
    await using box = await sandbox();
    const program = box.start(["train", ...RUN, "--nproc_per_node=3", "--out_dir=run"]);
    await program.says("iter 25:");
    const workers = program.children();
    assert.equal(workers.length, 3);
    Deno.kill(workers[1], "SIGKILL");
    await program.says("iter 60:");
    Deno.kill(workers[0], "SIGKILL");
    Deno.kill(workers[2], "SIGKILL");
    const ended = await program.ended;
    assert.equal(ended.code, 0, ended.err);
    assert.equal(await box.weights("run"), await expectedWeights());
    assert.deepEqual(box.leftovers(), []);
  },
);

procTest(
  "train ends with E_WORKER_DIED when the last worker is killed and may not be started again, and goes on from its checkpoint",
  async () => {
    await using box = await sandbox();
    const words = [...RUN, "--nproc_per_node=2", "--max_restarts=0", "--out_dir=run"];
    const program = box.start(["train", ...words]);
    await program.says("iter 25:");
    const workers = program.children();
    assert.equal(workers.length, 2);
    for (const worker of workers) Deno.kill(worker, "SIGKILL");
    const ended = await program.ended;
    assertRefused(ended, { status: 1, code: "E_WORKER_DIED", words: ["the last worker", "SIGKILL"] });
    assert.deepEqual(workers.filter(isAlive), []);
    assert.deepEqual(box.leftovers(), []);
    await assertGoesOn(box, ended, ["--nproc_per_node=2"]);
  },
);

procTest(
  "workers end with their coordinator's SIGKILL, also before they have joined, and leave nothing",
  async () => {
    await using box = await sandbox();
    for (const moment of ["run in early", "iter 5:"]) {
      const out_dir = moment === "iter 5:" ? "late" : "early";
      const program = box.start(["train", ...RUN, "--nproc_per_node=2", `--out_dir=${out_dir}`]);
      await program.says(moment);
      await within(5_000, () => program.children().length === 2, "two workers started");
      const workers = program.children();
      program.kill("SIGKILL");
      await program.ended;
      // 2 s is the goal; one that is still loading its modules ends when it has, on a busy machine later.
      await within(20_000, () => !workers.some(isAlive), "workers end with their coordinator");
      assert.deepEqual(box.leftovers(), []);
    }
  },
);

procTest("train finishes the step, saves and ends with 130 on Ctrl-C, and goes on from there", async () => {
  await using box = await sandbox();
  const program = box.start(["train", ...RUN, "--nproc_per_node=2", "--out_dir=run"], { job: true });
  await program.says("iter 25:");
  const workers = program.children();
  program.interrupt();
  const ended = await program.ended;
  assert.equal(ended.code, 130, ended.err);
  const [, step] = /stopped after step (\d+)/.exec(ended.out) ?? [];
  assert.ok(ended.out.includes(`step-${step.padStart(8, "0")}`), ended.out);
  assert.deepEqual(workers.filter(isAlive), []);
  assert.deepEqual(box.leftovers(), []);
  await assertGoesOn(box, ended, ["--nproc_per_node=1"]);
});

procTest("train ends at once with 130 on a second Ctrl-C, and leaves no process", async () => {
  await using box = await sandbox();
  const words = [...RUN, "--nproc_per_node=2", "--eval_iters=1000000", "--out_dir=run"];
  const program = box.start(["train", ...words], { job: true });
  await program.says("parameters,"); // the estimate before the first step takes hours
  const workers = program.children();
  program.interrupt();
  await program.says("interrupted:");
  program.interrupt(); // an echo of the first, which ends nothing
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(isAlive(program.pid), "the same signal twice is one");
  program.interrupt();
  await within(2_000, () => !isAlive(program.pid), "the coordinator ends");
  const ended = await program.ended;
  assert.equal(ended.code, 130);
  assert.ok(!ended.out.includes("stopped after"));
  await within(2_000, () => !workers.some(isAlive), "the workers end");
  assert.deepEqual(box.leftovers(), []);
});

Deno.test("train takes SIGTERM as it takes Ctrl-C, in one process too, and gives up an evaluation under way", async () => {
  await using box = await sandbox();
  const program = box.start(["train", ...RUN, "--nproc_per_node=1", "--out_dir=run"]);
  await program.says("iter 25:");
  program.kill("SIGTERM");
  const ended = await program.ended;
  assert.equal(ended.code, 130, ended.err);
  await assertGoesOn(box, ended);

  const evaluating = box.start([
    "train",
    ...TINY,
    "--nproc_per_node=1",
    "--eval_items=10000000",
    "--out_dir=long",
  ]);
  await evaluating.says("step-00000040");
  evaluating.kill("SIGTERM");
  assertRefused(await evaluating.ended, { status: 130, code: "E_INTERRUPTED", words: ["step 40"] });
});

Deno.test("train stops at a step that is not finite, names step, loss and norm, and keeps the checkpoint before", async () => {
  await using box = await sandbox();
  const words = [...TINY, "--learning_rate=1e30", "--warmup_iters=50", "--eval_interval=1"];
  const ended = await box.run(["train", ...words, "--nproc_per_node=2", "--out_dir=run"]);
  const expected = {
    status: 1,
    code: "E_NON_FINITE",
    words: ["step 1", "loss is 2.8", "norm NaN", "is kept"],
  };
  assertRefused(ended, expected);
  assert.ok(ended.err.includes("--init_from=resume --out_dir=run"), ended.err);
  assertRefused(
    await box.run(["train", "--init_from=resume", "--out_dir=run", "--nproc_per_node=1"]),
    expected,
  );
  assert.deepEqual(box.leftovers(), []);
});
