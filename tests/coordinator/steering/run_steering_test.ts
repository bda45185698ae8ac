import assert from "node:assert/strict";
import type { WorkerStatus } from "../../../coordinator/worker_status.ts";
import type { MembershipEvent } from "../../../coordinator/membership.ts";
import { RunSteering } from "../../../coordinator/steering/run_steering.ts";
import { LockstepError } from "../../../shared/errors.ts";

function worker(id: string, rank: number | null, state: WorkerStatus["state"] = "member"): WorkerStatus {
  return { id, rank, state, host: "host", pid: 1, shards: [], silentMs: 0, cpuMs: 0 };
}

interface Given {
  readonly workers?: readonly WorkerStatus[];
  readonly minMembers?: number;
  readonly eval_only?: boolean;
}

function steeringOf({ workers = [], minMembers = 1, eval_only = false }: Given = {}) {
  const told: MembershipEvent[] = [];
  const warnings: string[] = [];
  const notes: [string, Record<string, unknown>][] = [];
  const intervals: number[] = [];
  const ids = workers.filter(({ rank }) => rank !== null).map(({ id }) => id);
  const position = { step: 5, stateHash: null };
  const steering = new RunSteering({
    group: { epoch: 1, generation: 2, ids, position, workers, tell: (event) => void told.push(event) },
    config: { max_iters: 100, log_interval: 10, eval_only },
    runDir: "out/run",
    minMembers,
    savedStep: null,
    note: (event, fields) => void notes.push([event, fields]),
    warn: (sentence) => void warnings.push(sentence),
  });
  return {
    steering,
    observer: steering.observing({ logInterval: (steps) => void intervals.push(steps) }),
    told,
    warnings,
    notes,
    intervals,
  };
}

const TWO = [worker("worker-0", 0), worker("worker-2", 1)];

Deno.test("RunSteering.evict() accuses a worker by name or rank, and says who did it", () => {
  for (const word of ["worker-2", "1"]) {
    const { steering, told, warnings } = steeringOf({ workers: TWO });
    assert.equal(steering.evict(word, "ada@host"), "worker-2");
    assert.deepEqual(told, [{ type: "accused", id: "worker-2", why: "ada@host said so" }]);
    assert.deepEqual(warnings, ["ada@host evicted worker-2"]);
  }
  const named = steeringOf({ workers: [worker("1", 0), worker("b", 1)] });
  assert.equal(named.steering.evict("1", "ada@host"), "1");
});

Deno.test("RunSteering.evict() refuses whom nobody knows and whoever is needed, and evicts nobody then", () => {
  const refused = (given: Given, word: string, message: RegExp) => {
    const { steering, told } = steeringOf(given);
    assert.throws(() => steering.evict(word, "ada@host"), { code: "E_RUN", message });
    assert.deepEqual(told, []);
  };
  refused({ workers: TWO }, "9", /no such worker: 0 \(worker-0\), 1 \(worker-2\)$/);
  refused({}, "0", /there are none$/);
  refused({ workers: TWO, minMembers: 2 }, "0", /at least 2 are required to go on and 1 would be left/);
  refused({ workers: [worker("worker-0", 0)] }, "0", /at least 1 are required/);
  const others = [worker("a", null, "loading"), worker("b", null, "suspected"), worker("c", null, "barred")];
  refused({ workers: [worker("worker-0", 0), ...others] }, "0", /0 would be left/);
});

Deno.test("RunSteering.evict() lets a standby take the place of a member, and evicts who computes nothing yet", () => {
  const waiting = steeringOf({ workers: [worker("a", 0), worker("b", null, "standby")] });
  assert.equal(waiting.steering.evict("a", "ada@host"), "a");
  const loading = steeringOf({ workers: [worker("a", 0), worker("b", null, "loading")] });
  assert.equal(loading.steering.evict("b", "ada@host"), "b");
});

Deno.test("RunSteering.save() waits for the next checkpoint, and the run is asked for one meanwhile", async () => {
  const { steering, observer } = steeringOf();
  observer.begins?.("stepping");
  const saves = [steering.save(), steering.save()];
  assert.equal(steering.shouldSave, true);
  observer.checkpoint?.({ step: 6, path: "out/run/checkpoints/step-6" });
  assert.deepEqual(await Promise.all(saves), [6, 6]);
  assert.equal(steering.shouldSave, false);
  assert.equal(steering.status().savedStep, 6);
});

Deno.test("RunSteering.save() gives the last checkpoint where no step follows, also to who asked before", async () => {
  const { steering, observer } = steeringOf();
  observer.checkpoint?.({ step: 100, path: "" });
  observer.begins?.("estimating");
  const asked = steering.save();
  assert.equal(steering.shouldSave, true);
  observer.begins?.("evaluating");
  assert.deepEqual([await asked, await steering.save()], [100, 100]);
});

Deno.test("RunSteering.save() is refused where nothing can be written, where the run ends, and where it only evaluates", async () => {
  const { steering, observer } = steeringOf();
  const failed = steering.save();
  observer.checkpointFailed?.(new LockstepError("E_NO_SPACE", "the disk is full"));
  await assert.rejects(failed, { code: "E_NO_SPACE" });
  const waiting = steering.save();
  steering.end();
  await assert.rejects(waiting, { code: "E_RUN", message: /run is over: it saved none$/ });
  await assert.rejects(steering.save(), { code: "E_RUN" });
  await assert.rejects(steeringOf({ eval_only: true }).steering.save(), { message: /only evaluates/ });
});

Deno.test("RunSteering.stop() asks the run to end once, and says who did", () => {
  const { steering, warnings } = steeringOf();
  assert.equal(steering.shouldStop, false);
  steering.stop("ada@host");
  assert.equal(steering.shouldStop, true);
  assert.equal(steering.status().stoppedBy, "ada@host");
  assert.throws(() => steering.stop("bob@host"), { code: "E_RUN", message: /ada@host asked for it/ });
  assert.deepEqual(warnings, ["ada@host stopped the run: it ends after the step under way"]);
});

Deno.test("RunSteering.metrics() keeps the lines that metrics.jsonl gets, and those of a run that went back once", () => {
  const { steering, observer } = steeringOf();
  const line = (step: number, loss: number) =>
    observer.step?.({
      ...{ step, loss, lr: 0, grad_norm: 0, tokens: 0, tokens_per_sec: 0, mfu: null, dt_ms: 1 },
    });
  const losses = (after: number | null) => steering.metrics(after).map(({ step, loss }) => [step, loss]);
  for (let step = 0; step < 100; step++) line(step, 1);
  assert.deepEqual(losses(79), [[80, 1], [90, 1], [99, 1]]);
  assert.equal(losses(null).length, 10);
  line(80, 2);
  assert.deepEqual(losses(69), [[70, 1], [80, 2]]);
  assert.equal(steering.status().last?.loss, 2);
});

Deno.test("RunSteering.status() says what the run does, and that it waits while it has no members", () => {
  const { steering, observer } = steeringOf({ workers: TWO });
  assert.equal(steering.status().activity, "forming");
  observer.begins?.("estimating");
  observer.estimate?.({ step: 5, train: 1, val: 2, best: true, asked: true });
  const status = steering.status();
  assert.equal(status.activity, "estimating");
  assert.deepEqual(status.estimate?.val, 2);
  assert.deepEqual([status.workers, status.members], [["worker-0", "worker-2"], 2]);
  const alone = steeringOf();
  alone.observer.begins?.("stepping");
  assert.equal(alone.steering.status().activity, "waiting");
});

Deno.test("RunSteering.pause() holds the run until resume() or stop(), once, and the log has who and when", () => {
  const { steering, notes, warnings } = steeringOf();
  assert.throws(() => steering.resume("ada@host"), { code: "E_RUN", message: /nobody has paused it/ });
  assert.equal(steering.pause("ada@host"), 5);
  assert.equal(steering.isPaused, true);
  assert.throws(() => steering.pause("bob@host"), { code: "E_RUN", message: /ada@host did it/ });
  steering.resume("bob@host");
  assert.equal(steering.isPaused, false);
  assert.deepEqual(notes, [
    ["paused", { by: "ada@host", step: 5 }],
    ["resumed", { by: "bob@host", step: 5 }],
  ]);
  assert.match(warnings[0], /^ada@host paused the run/);
  steering.pause("ada@host");
  steering.stop("ada@host");
  assert.deepEqual([steering.isPaused, steering.shouldStop], [false, true]);
  assert.throws(() => steering.pause("ada@host"), { code: "E_RUN", message: /as the run ends$/ });
});

Deno.test("RunSteering.estimate() waits for the next estimate, and is refused where the run ends", async () => {
  const { steering, observer } = steeringOf();
  const asked = steering.estimate();
  assert.equal(steering.shouldEstimate, true);
  observer.estimate?.({ step: 6, train: 1, val: 2, best: true, asked: true });
  assert.deepEqual((await asked).val, 2);
  assert.equal(steering.shouldEstimate, false);
  const waiting = steering.estimate();
  steering.end();
  await assert.rejects(waiting, { code: "E_RUN", message: /Cannot estimate the losses as the run ends/ });
  await assert.rejects(steering.estimate(), { code: "E_RUN" });
  await assert.rejects(steeringOf({ eval_only: true }).steering.estimate(), { message: /only evaluates/ });
});

Deno.test("RunSteering.set() changes log_interval, and refuses what would change the bits with the way to a branch", () => {
  const { steering, observer, intervals, notes } = steeringOf();
  const set = (key: string, value: string) => steering.set({ key, value, by: "ada@host" });
  set("log_interval", "5");
  assert.deepEqual(intervals, [5]);
  assert.deepEqual(notes, [["log_interval", { by: "ada@host", from: 10, to: 5 }]]);
  for (const value of ["0", "-1", "1.5", "often", "", "1e3"]) {
    assert.throws(() => set("log_interval", value), {
      code: "E_CONFIG",
      message: /whole number of at least 1/,
    });
  }
  assert.throws(() => set("learning_rate", "1e-4"), {
    code: "E_CONFIG",
    message: /save a checkpoint, then start a branch with .*--init_from=out\/run@STEP --learning_rate=1e-4/,
  });
  observer.checkpoint?.({ step: 250, path: "" });
  assert.throws(() => set("learning_rate", "1e-4"), {
    message:
      /: start a branch with .*train out\/run\/config\.toml --init_from=out\/run@250 .*--out_dir=out\/run-branch$/,
  });
  assert.throws(() => set("eval_interval", "7"), { message: /stop it, then .*--init_from=resume/ });
  assert.throws(() => set("learnign_rate", "7"), { message: /nearest known is learning_rate$/ });
  assert.deepEqual(intervals, [5]);
});
