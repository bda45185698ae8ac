/** Jobs on a real Slurm: two node daemons on this machine. */
import assert from "node:assert/strict";
import { PROGRAM, type Sandbox, sandbox, TINY } from "../integration/support.ts";
import { SlurmCluster, whyNoSlurm } from "./slurm_cluster.ts";

const missing = await whyNoSlurm();
const TWO = ["--nodes=2", "--nproc_per_node=1", "--time=5"];
/** Steps enough to be disturbed in the middle. */
const LONGER = ["--max_iters=300", "--eval_interval=300"];

interface Submission {
  readonly box: Sandbox;
  readonly cluster: SlurmCluster;
  /** Submits a job that trains, and gives its id. */
  submit(words: readonly string[]): Promise<string>;
}

function slurmTest(name: string, run: (submission: Submission) => Promise<void>): void {
  Deno.test({
    name: `slurm: ${name}${missing === null ? "" : ` (skipped: ${missing})`}`,
    ignore: missing !== null,
    async fn() {
      await using box = await sandbox();
      await using cluster = await SlurmCluster.start({ nodes: 2, cwd: box.dir, temporary: box.temporary });
      const submit = async (words: readonly string[]) => {
        const { code, out, err } = await lockstep(cluster, ["submit", "slurm", ...TINY, ...words]);
        assert.equal(code, 0, err);
        const [, id] = /^job (\d+) is in the queue: its script is out\/sort-demo-\1\/job\.sh/.exec(out) ?? [];
        assert.ok(id !== undefined, out);
        return id;
      };
      await run({ box, cluster, submit });
    },
  });
}

function lockstep(cluster: SlurmCluster, words: readonly string[]) {
  return cluster.run([Deno.execPath(), "run", "-A", "--quiet", PROGRAM, ...words]);
}

/** What a job has written into a file of its folder, or to its output. */
function written({ box }: Submission, name: string): string {
  try {
    return Deno.readTextFileSync(box.path("out", name));
  } catch {
    return ""; // not yet
  }
}

async function says(submission: Submission, { name, text }: { name: string; text: RegExp }): Promise<void> {
  for (const end = Date.now() + 60_000; !text.test(written(submission, name));) {
    assert.ok(Date.now() < end, `${name} does not say ${text}: ${written(submission, name)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** SHA-256 of weights by what they were trained with, without Slurm. */
const references = new Map<string, string>();

/** Waits until a job has done its work, and holds its weights against those of a run without Slurm. */
async function completes(submission: Submission, id: string, words: readonly string[] = []): Promise<void> {
  const { box, cluster } = submission;
  const state = await cluster.reaches(id, "COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL");
  assert.equal(state, "COMPLETED", written(submission, `sort-demo-${id}.out`));
  const key = words.join(" ");
  const alone = references.get(key) ??
    await box.train("alone", [...TINY, "--nproc_per_node=1", ...words]);
  references.set(key, alone);
  assert.equal(await box.weights(`out/sort-demo-${id}`), alone);
}

const BOTH = /"members":\["[^"]+","[^"]+"\]/;

slurmTest(
  "a job of two nodes ends with the bits of a run without Slurm, and keeps keys and script",
  async (submission) => {
    const { box, cluster, submit } = submission;
    const words = [...TWO, "--gpus-per-node=1", "--cpus-per-task=2", "--mem=100"];
    const dry = await lockstep(cluster, ["submit", "slurm", ...TINY, ...words, "--dry-run"]);
    const id = await submit(words);
    await completes(submission, id);
    assert.match(written(submission, `sort-demo-${id}/log.jsonl`), BOTH);
    assert.equal(written(submission, `sort-demo-${id}/job.sh`), dry.out);
    const keys = box.path("out", `sort-demo-${id}`, "keys");
    for (const { name } of Deno.readDirSync(keys)) {
      assert.equal((Deno.statSync(`${keys}/${name}`).mode ?? 0) & 0o777, 0o600, name);
    }
    assert.deepEqual(box.leftovers(), []);
    const refused = await lockstep(cluster, ["submit", "slurm", ...TINY, "--partition=nowhere"]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /error E_SUBMIT: .*sbatch refused it: .*invalid partition/);
  },
);

slurmTest(
  "SIGUSR1 saves, puts the job back into the queue, and it goes on to the same bits",
  async (submission) => {
    const { box, cluster, submit } = submission;
    const id = await submit([...TWO, ...LONGER]);
    await says(submission, { name: `sort-demo-${id}.out`, text: /^iter 10:/m });
    await cluster.run(["scancel", "--signal=USR1", id]);
    await says(submission, { name: `sort-demo-${id}.out`, text: /is in the queue again/ });
    await completes(submission, id, LONGER);
    assert.equal((await cluster.job(id)).get("Restarts"), "1");
    assert.match(written(submission, `sort-demo-${id}.out`), /run in out\/sort-demo-\d+ from step [1-9]/);
    assert.deepEqual(box.leftovers(), []);
  },
);

slurmTest("a job goes on to the same bits without a node that is lost", async (submission) => {
  const { cluster, submit } = submission;
  const id = await submit([...TWO, ...LONGER, "--nnodes=1:2"]);
  await says(submission, { name: `sort-demo-${id}/log.jsonl`, text: BOTH });
  cluster.cutPower("node2");
  await cluster.run(["scontrol", "update", "NodeName=node2", "State=DOWN", "Reason=no_power"]);
  await completes(submission, id, LONGER);
  assert.match(written(submission, `sort-demo-${id}/log.jsonl`), /"gone","reason":"node1-worker-0 is gone/);
  assert.equal((await cluster.job(id)).get("Restarts"), "0");
});
