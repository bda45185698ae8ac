import assert from "node:assert/strict";
import { assertRefused, sandbox, TINY } from "./support.ts";

/** Steps without an end, as far as their number decides anything. */
const RUN = [...TINY, "--max_iters=1000000", "--eval_interval=1000000", "--log_interval=1000000"];

Deno.test("train --max_time saves and ends with 75 before the time is over, and goes on to the same weights", async () => {
  await using box = await sandbox();
  const began = performance.now();
  const { code, out, err } = await box.run(["train", ...RUN, "--max_time=6s", "--out_dir=run"]);
  const took = performance.now() - began;
  assert.equal(code, 75, out + err);
  assert.ok(took < 7_500, `it took ${took} ms`); // a machine that does other things starts and ends slowly
  const [, step] = /^stopped after step (\d+), as max_time \(6s\) is over; to go on: /m.exec(out) ?? [];
  assert.ok(Number(step) > 0, out);
  assert.ok(out.includes(`step-${step.padStart(8, "0")}`), out);

  const words = [`--max_iters=${Number(step) + 5}`, "--lr_decay_iters=1000000", "--nproc_per_node=1"];
  const resumed = await box.train("run", ["--init_from=resume", "--max_time=none", ...words]);
  assert.equal(resumed, await box.train("whole", [...RUN, ...words]));
});

Deno.test("train --max_time gives up the evaluation at the end with E_TIME, and keeps the last checkpoint", async () => {
  await using box = await sandbox();
  // Trained before, so that all the time is the evaluation's, however slow the machine is.
  const trained = await box.train("run", [...TINY, "--nproc_per_node=1"]);
  const words = ["train", "--init_from=resume", "--eval_items=10000000", "--max_time=3s"];
  const ended = await box.run([...words, "--nproc_per_node=1", "--out_dir=run"]);
  assertRefused(ended, { status: 75, code: "E_TIME", words: ["step 40", "max_time (3s)"] });
  assert.equal(await box.weights("run"), trained);
});
