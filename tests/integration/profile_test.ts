/** A profile of a real run of two workers, as a viewer reads it. */
import assert from "node:assert/strict";
import { sandbox, TINY } from "./support.ts";

/** Of Chrome's trace event format, what is written. */
interface Event {
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid?: number;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly name?: string };
}

/** Large enough for two buckets: a smaller gradient is added up by each worker itself. */
const WORDS = [
  ...TINY,
  "--n_embd=60",
  "--nproc_per_node=2",
  "--max_iters=12",
  "--eval_interval=5",
  "--lr_decay_iters=40",
];

Deno.test("train --profile: a Chrome trace of all workers on one clock, of just these steps, and the same bits", async () => {
  await using box = await sandbox();
  const plain = await box.train("plain", WORDS);
  assert.equal(await box.train("run", [...WORDS, "--profile=3:7"]), plain);
  const { traceEvents } = JSON.parse(await Deno.readTextFile(box.path("run", "profile-3-7.json")));
  const events: Event[] = traceEvents;
  for (const { ph, pid, tid, name, ts, dur } of events) {
    assert.ok((ph === "X" || ph === "M") && Number.isInteger(pid) && name.length > 0);
    if (ph === "X") {
      assert.ok(Number.isInteger(tid) && ts >= 0 && dur >= 0 && Number.isFinite(ts + dur), name);
    }
  }
  const named = (kind: string) => events.filter(({ name }) => name === kind).map(({ args }) => args?.name);
  assert.deepEqual(named("process_name"), ["coordinator", "worker-0", "worker-1"]);
  const of = (pid: number, name: RegExp) =>
    events.filter((event) => event.ph === "X" && event.pid === pid && name.test(event.name));

  assert.deepEqual(of(0, /^step /).map(({ name }) => name), ["step 3", "step 4", "step 5", "step 6"]);
  assert.deepEqual(of(0, /^checkpoint$/).length, 1);
  const updates = of(0, /^wait for updates$/);
  for (const pid of [1, 2]) {
    assert.deepEqual(of(pid, /^shard \d$/).length, 4 * 4);
    for (const name of [/^bucket 0$/, /^bucket 1$/, /^compute$/, /^apply$/, /^wait for COMMIT$/]) {
      assert.equal(of(pid, name).length, 4, `${name} of ${pid}`);
    }
    assert.ok(of(pid, /^wait for own gradients$/).length > 0);
    of(pid, /^apply$/).forEach((apply, i) => {
      assert.ok(apply.ts >= updates[i].ts - 1, "a member applies what is decided");
      assert.ok(apply.ts + apply.dur <= updates[i].ts + updates[i].dur + 1, "and all know when it has");
    });
  }
});

Deno.test("train --profile refuses what is no range of steps", async () => {
  await using box = await sandbox();
  for (const range of ["20:10", "5", "a:b"]) {
    const { code, err } = await box.run(["train", ...TINY, `--profile=${range}`, "--dry_run"]);
    assert.equal(code, 2);
    assert.match(err, /profile.*FROM:TO/);
  }
});
