/** A sweep as an array on a real Slurm: two node daemons on this machine. */
import assert from "node:assert/strict";
import { PROGRAM, sandbox } from "../integration/support.ts";
import { tinySweep, trainHere } from "../integration/sweeps.ts";
import { SlurmCluster, whyNoSlurm } from "./slurm_cluster.ts";

const missing = await whyNoSlurm();
const SEEDS = [1, 2, 3];

Deno.test({
  name:
    `slurm: an array runs a sweep, an element that is ended goes on, and all have the bits of runs without Slurm${
      missing === null ? "" : ` (skipped: ${missing})`
    }`,
  ignore: missing !== null,
  async fn() {
    await using box = await sandbox();
    await using cluster = await SlurmCluster.start({ nodes: 2, cwd: box.dir, temporary: box.temporary });
    const keys = { max_iters: 300, eval_interval: 300, log_interval: 1 };
    await Deno.writeTextFile(box.path("tiny.toml"), tinySweep({ seeds: SEEDS, keys }));
    const lockstep = (...words: string[]) =>
      cluster.run([Deno.execPath(), "run", "-A", "--quiet", PROGRAM, ...words]);
    const { out, err } = await lockstep("sweep", "tiny.toml", "--slurm", "--time=5");
    const [, id] = /^job (\d+) is in the queue, 3 runs/.exec(out) ?? [];
    assert.ok(id !== undefined, out + err);

    const log = box.path("out", "tiny", "default-s2.log");
    await reads(log, /^iter 10:/m);
    await cluster.run(["scancel", "--signal=USR1", `${id}_1`]);
    await reads(log, /is in the queue again/);
    for (const index of SEEDS.keys()) {
      const state = await cluster.reaches(`${id}_${index}`, "COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL");
      assert.equal(
        state,
        "COMPLETED",
        await Deno.readTextFile(box.path("out", "tiny", `slurm-${id}_${index}.out`)),
      );
    }
    assert.equal((await cluster.job(`${id}_1`)).get("Restarts"), "1");
    assert.match(await Deno.readTextFile(log), /run in out\/tiny\/default-s2 from step [1-9]/);
    for (const seed of SEEDS) {
      const words = [`--seed=${seed}`, "--max_iters=300", "--eval_interval=300"];
      const alone = await trainHere(box, { name: `alone-${seed}`, words });
      assert.equal(await box.weights(`out/tiny/default-s${seed}`), alone);
      const result = JSON.parse(await Deno.readTextFile(box.path("tiny", `default-s${seed}.json`)));
      assert.deepEqual([result.status, result.steps, result.seed], ["finished", 300, seed]);
    }
    const again = await lockstep("sweep", "tiny.toml", "--slurm");
    assert.equal(again.out.trim(), "3 runs: all are done", again.err);
  },
});

async function reads(path: string, text: RegExp): Promise<void> {
  for (const end = Date.now() + 60_000;;) {
    const written = await Deno.readTextFile(path).catch(() => "");
    if (text.test(written)) return;
    assert.ok(Date.now() < end, `${path} does not say ${text}: ${written}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
