import assert from "node:assert/strict";
import {
  assertRefused,
  isAlive,
  NO_PROC,
  type Program,
  type Sandbox,
  sandbox,
  TINY,
  within,
} from "./support.ts";

/** About 20 ms a step. */
const RUN = [...TINY, "--batch_size=8", "--max_iters=300", "--log_interval=1"];

function procTest(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: NO_PROC === null ? title : `${title} (skipped: ${NO_PROC})`,
    ignore: NO_PROC !== null,
    fn,
  });
}

/** A port that nobody listens on now. */
function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

/** What a run's log says happened, of one kind. */
function notes(box: Sandbox, event: string): Record<string, unknown>[] {
  const lines = Deno.readTextFileSync(box.path("run", "log.jsonl")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line)).filter((note) => note.event === event).map(({ fields }) =>
    fields
  );
}

function members(box: Sandbox): unknown {
  return notes(box, "roster").at(-1)?.members;
}

procTest(
  "a worker started by hand joins a run and leaves it on SIGTERM; a coordinator that is killed and started again goes on with the workers that live",
  async () => {
    await using box = await sandbox();
    const expected = await box.train("whole", [...RUN, "--nproc_per_node=1"]);
    const rdzv = `127.0.0.1:${freePort()}`;
    const words = [
      "--nproc_per_node=2",
      "--nnodes=1:2",
      `--rdzv_endpoint=${rdzv}`,
      "--rdzv_id=mine",
      "--patience=15",
      "--out_dir=run",
    ];
    const first = box.start(["train", ...RUN, ...words]);
    await first.says("iter 5:");
    const join = (id: string, more: string[] = []): Program =>
      box.start(["worker", `--rdzv-endpoint=${rdzv}`, "--keys=run/keys", `--id=${id}`, ...more]);
    assertRefused(await join("lost", ["--rdzv-id=other"]).ended, {
      status: 1,
      code: "E_RUN",
      words: ["other", "mine"],
    });
    const [leaver, stayer] = [join("leaver"), join("stayer", ["--rdzv-id=mine"])];
    await within(
      20_000,
      () => String(members(box)).includes("leaver") && String(members(box)).includes("stayer"),
      "both join",
    );
    leaver.kill("SIGTERM");
    assert.equal((await leaver.ended).code, 0);
    await within(10_000, () => String(members(box)) === "worker-0,worker-1,stayer", "the others go on");
    const workers = first.children();
    assert.equal(workers.length, 2);
    first.kill("SIGKILL");
    await within(5_000, () => !isAlive(first.pid), "the coordinator ends"); // its streams are the workers' too
    assert.ok(workers.every(isAlive), "workers outlive their coordinator");
    const second = box.start(["train", "--init_from=resume", ...words]);
    const ended = await second.ended;
    assert.equal(ended.code, 0, ended.err);
    const [roster] = notes(box, "roster").filter(({ epoch }) => epoch === 2);
    assert.deepEqual([...roster.members as string[]].sort(), ["stayer", "worker-0", "worker-1"]);
    assert.ok(Number(roster.step) > 5, "no step is made again");
    assert.equal((await stayer.ended).code, 0);
    await within(5_000, () => !workers.some(isAlive), "all workers leave with the run");
    assert.equal(await box.weights("run"), expected);
    const proof = await box.run(["inspect", "run", "--ledger"]);
    assert.equal(proof.code, 0, proof.out);
    assert.match(proof.out, /^300 steps decided once each in 2 epochs/);
  },
);

procTest("two members on hosts of other names train over encrypted tcp, with the same bits", async () => {
  await using box = await sandbox();
  const expected = await box.train("whole", [...RUN, "--nproc_per_node=1"]);
  const rdzv = `127.0.0.1:${freePort()}`;
  const run = box.start([
    "train",
    ...RUN,
    "--nproc_per_node=1",
    "--nnodes=1:2",
    `--rdzv_endpoint=${rdzv}`,
    "--out_dir=run",
  ]);
  await run.says("iter 5:");
  const other = box.start([
    "worker",
    `--rdzv-endpoint=${rdzv}`,
    "--keys=run/keys",
    "--id=other",
    "--host=elsewhere",
  ]);
  const ended = await run.ended;
  assert.equal(ended.code, 0, ended.err);
  assert.equal((await other.ended).code, 0);
  assert.deepEqual(members(box), ["worker-0", "other"]);
  assert.equal(await box.weights("run"), expected);
});
