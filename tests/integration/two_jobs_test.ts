import assert from "node:assert/strict";
import { NO_PROC, sandbox, TINY } from "./support.ts";

const sharedMemory = () => [...Deno.readDirSync("/dev/shm")].map(({ name }) => name).sort();

Deno.test({
  name:
    `two jobs of one user in one folder do not disturb each other, and leave nothing behind, however they end${
      NO_PROC === null ? "" : ` (skipped: ${NO_PROC})`
    }`,
  ignore: NO_PROC !== null,
  async fn() {
    await using box = await sandbox();
    const before = sharedMemory();
    const expected = await box.train("alone", [...TINY, "--nproc_per_node=1"]);
    const words = ["train", ...TINY, "--nproc_per_node=2"];
    const jobs = [box.start(words), box.start(words)];
    for (const { code, out, err } of await Promise.all(jobs.map(({ ended }) => ended))) {
      assert.equal(code, 0, out + err);
    }
    for (const name of ["out/sort-demo", "out/sort-demo-2"]) assert.equal(await box.weights(name), expected);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const long = [...words, "--max_iters=1000000", `--out_dir=${signal}`];
      const job = box.start(long);
      await job.says("iter 10:");
      job.kill(signal);
      await job.ended;
      const end = Date.now() + 5_000; // workers of a coordinator that was killed end by themselves
      while (box.leftovers().length > 0 && Date.now() < end) await new Promise((ok) => setTimeout(ok, 50));
      assert.deepEqual(box.leftovers(), [], signal);
    }
    assert.deepEqual(sharedMemory(), before);
  },
});
