import assert from "node:assert/strict";
import { handleCommand, handleFrame } from "../../../coordinator/steering/handle_command.ts";
import { RunHistory } from "../../../coordinator/run_history/run_history.ts";
import type { RunStatus, Steering } from "../../../coordinator/steering/steering.ts";
import {
  steeringCommand,
  steeringCommands,
  usageOf,
} from "../../../coordinator/steering/steering_commands.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { type Command, decodeStatus, encodeSteering } from "../../../shared/protocol/steering_messages.ts";

const LINE = {
  step: 6,
  loss: 1.5,
  lr: 1e-3,
  grad_norm: 1,
  tokens: 70,
  tokens_per_sec: 1000,
  mfu: null,
  dt_ms: 10,
};

const STATUS: RunStatus = {
  runDir: "out/run",
  step: 7,
  maxSteps: 100,
  activity: "stepping",
  last: LINE,
  estimate: { step: 0, val: 2.75 },
  savedStep: null,
  epoch: 1,
  generation: 3,
  workers: ["worker-0"],
  members: 1,
  minMembers: 1,
  stoppedBy: null,
};

/** A run that writes down what is asked of it. */
function fakeRun(status: Partial<RunStatus> = {}, runDir = "nowhere") {
  const asked: string[] = [];
  const steering: Steering = {
    status: () => ({ ...STATUS, ...status }),
    workers: () => [
      {
        id: "worker-0",
        host: "host",
        pid: 12,
        rank: 0,
        shards: [0, 1],
        state: "member",
        silentMs: 120,
        cpuMs: 2_500,
      },
      {
        id: "worker-1",
        host: "host",
        pid: 13,
        rank: null,
        shards: [],
        state: "loading",
        silentMs: 0,
        cpuMs: 0,
      },
    ],
    metrics(after) {
      asked.push(`metrics after ${after}`);
      return after !== null && after >= 6 ? [] : [{ ...LINE, step: 5 }, { ...LINE, loss: NaN }];
    },
    save: () => Promise.resolve(8),
    estimate: () => Promise.resolve({ step: 7, train: 1.25, val: 1.5 }),
    pause(by) {
      asked.push(`${by} pauses`);
      return 7;
    },
    resume: (by) => void asked.push(`${by} resumes`),
    set: ({ key, value, by }) => void asked.push(`${by} sets ${key} to ${value}`),
    async history() {
      const history = new RunHistory(runDir);
      await history.refresh();
      return history;
    },
    evict(worker, by) {
      asked.push(`${by} evicts ${worker}`);
      if (worker === "9") throw new LockstepError("E_RUN", "Cannot evict 9 as there is no such worker");
      if (worker === "bug") throw new TypeError("a bug");
      return "worker-1";
    },
    stop: (by) => void asked.push(`${by} stops`),
  };
  const notes: [string, Record<string, unknown>][] = [];
  const note = (event: string, fields: Record<string, unknown>) => void notes.push([event, fields]);
  const ask = (name: string, words: string[] = [], again = false) => {
    const command: Command = { type: "COMMAND", request: 4, name, words, by: "ada@host", again };
    return handleCommand(command, { steering, note });
  };
  return { steering, asked, notes, note, ask };
}

Deno.test("steeringCommands have unique names that a COMMAND can carry, with a usage each", () => {
  const names = steeringCommands.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(steeringCommands.map(usageOf), [
    "status",
    "workers",
    "watch [STEP]",
    "loss",
    "samples [N]",
    "log [N]",
    "pause",
    "resume",
    "eval",
    "set KEY VALUE",
    "save",
    "evict N|ID",
    "stop",
  ]);
});

Deno.test("steeringCommand() refuses unknown names with the nearest, and wrong numbers of words with the usage", () => {
  assert.equal(steeringCommand("evict", ["1"]).name, "evict");
  assert.equal(steeringCommand("watch", []).name, "watch");
  const refused = (name: string, words: string[], message: RegExp) =>
    assert.throws(() => steeringCommand(name, words), { code: "E_USAGE", message });
  refused("evcit", ["1"], /nearest known is evict$/);
  refused("__proto__", [], /there is none/);
  refused("evict", [], /with 0 words after it: give evict N\|ID$/);
  refused("evict", ["1", "2"], /with 2 words/);
  refused("stop", ["now"], /give stop$/);
});

Deno.test("handleCommand() answers for people and programs", async () => {
  const { ask } = fakeRun({ savedStep: 5 });
  const status = await ask("status");
  assert.equal(status.request, 4);
  assert.equal(status.error, null);
  assert.equal(
    status.text,
    [
      "out/run: 7 of 100 steps, making steps",
      "  members 1 (at least 1), workers 1; epoch 1, generation 3",
      "  iter 6: loss 1.5000, time 10.00ms, lr 1.000e-3, 1000 tokens/s",
      "  val loss 2.7500 after 0 steps",
      "  newest checkpoint: step 5",
    ].join("\n"),
  );
  assert.equal(status.value.step, 7);
  assert.equal(
    (await ask("workers")).text,
    [
      "rank  name      is       shards  process  CPU time  heard",
      "0     worker-0  member   0,1     host:12  2.5 s     0.1 s",
      "–     worker-1  loading  –       host:13  0.0 s     0.0 s",
    ].join("\n"),
  );
  assert.match((await ask("save")).text, /step 8$/);
  assert.match((await ask("evict", ["1"])).text, /^worker-1 is evicted; .*join again/);
  assert.match((await ask("stop")).text, /^the run ends after the step under way \(it has made 7\)/);
  const evaluating = fakeRun({ activity: "evaluating", step: 100 });
  assert.match((await evaluating.ask("stop")).text, /gives up its evaluation .*step 100$/);
});

Deno.test("pause, resume, eval and set do so in the name of who asked", async () => {
  const { ask, asked } = fakeRun();
  assert.match((await ask("pause")).text, /^the run pauses after the step under way \(it has made 7\)$/);
  assert.equal((await ask("resume")).text, "the run goes on");
  assert.equal((await ask("eval")).text, "after 7 steps: train loss 1.2500, val loss 1.5000");
  assert.match((await ask("set", ["log_interval", "5"])).text, /^log_interval is 5 from now on/);
  assert.deepEqual(asked, ["ada@host pauses", "ada@host resumes", "ada@host sets log_interval to 5"]);
});

Deno.test("loss, samples and log show the run's files", async () => {
  await inTempDir(async (dir) => {
    const { ask } = fakeRun({}, dir);
    assert.equal((await ask("loss")).text, "no step is logged yet");
    assert.equal((await ask("samples")).text, "no samples yet");
    const lines = (values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
    await Deno.writeTextFile(`${dir}/metrics.jsonl`, lines([{ step: 0, loss: 4 }, { step: 10, loss: 2 }]));
    const estimate = { step: 0, task: "estimate", metrics: { train_loss: 4, val_loss: 4.5 } };
    await Deno.writeTextFile(`${dir}/eval.jsonl`, lines([estimate]));
    const samples = [{ step: 0, prompt: "a", text: "b" }, { step: 5, prompt: "c", text: "d" }];
    await Deno.writeTextFile(`${dir}/samples.jsonl`, lines(samples));
    const record = { time: "2026-11-30T12:30:05.000Z", process: "coordinator", level: "info" };
    await Deno.writeTextFile(
      `${dir}/log.jsonl`,
      lines([{ ...record, event: "one", fields: {} }, { ...record, event: "two", fields: { a: 1 } }]),
    );
    const { text } = await ask("loss");
    assert.match(text, /^ +4\.5000 │○\n(.*\n)+ +2\.0000 │ +•\n +└─+\n +0 +10\n +• loss {2}○ val loss$/);
    assert.equal((await ask("samples", ["1"])).text, "after 5 steps:\ncd\n");
    assert.equal((await ask("log", ["1"])).text, "12:30:05 info coordinator two a=1");
    assert.equal((await ask("log", ["0"])).error?.code, "E_USAGE");
    assert.equal((await ask("samples", ["all"])).error?.code, "E_USAGE");
  });
});

Deno.test("watch gives the newest lines, then those after them, and what is not finite as null", async () => {
  const { ask, asked } = fakeRun();
  const { text, value } = await ask("watch");
  assert.match(text, /^iter 5: loss 1\.5000.*\niter 6: loss NaN/);
  assert.equal(value.next, "7");
  assert.ok(Array.isArray(value.lines));
  assert.deepEqual(value.lines[1], { ...LINE, loss: null });
  const later = await ask("watch", ["7"], true);
  assert.deepEqual([later.text, later.value.next], ["", "7"]);
  assert.equal((await ask("watch", ["0"])).value.next, "7");
  assert.deepEqual(asked, ["metrics after null", "metrics after 6", "metrics after -1"]);
  assert.equal((await ask("watch", ["soon"])).error?.code, "E_USAGE");
});

Deno.test("handleCommand() notes every command with who, once where it is followed, and every refusal with its reason", async () => {
  const { ask, notes, asked } = fakeRun();
  assert.deepEqual((await ask("evict", ["9"])).error, {
    code: "E_RUN",
    message: "Cannot evict 9 as there is no such worker",
  });
  await ask("watch", [], false);
  await ask("watch", ["7"], true);
  await ask("stop", [], true);
  assert.equal((await ask("dance")).error?.code, "E_USAGE");
  const seen = notes.map(([event, { by, command }]) => `${event} ${by} ${command}`);
  assert.deepEqual(seen, [
    "command ada@host evict 9",
    "command_refused ada@host evict 9",
    "command ada@host watch",
    "command ada@host stop",
    "command_refused ada@host dance",
  ]);
  assert.deepEqual(asked.filter((what) => !what.startsWith("metrics")), [
    "ada@host evicts 9",
    "ada@host stops",
  ]);
});

Deno.test("handleCommand() survives a bug, tells the person where to look and the log what it was", async () => {
  const { ask, notes } = fakeRun();
  const { error } = await ask("evict", ["bug"]);
  assert.match(error?.message ?? "", /unexpected error.*log\.jsonl/);
  assert.ok(notes.at(-1)?.[1].error instanceof TypeError);
});

Deno.test("handleFrame() says where somebody on another machine is, and refuses what is no command", async () => {
  const { steering, note, notes } = fakeRun();
  const frame = encodeSteering({
    type: "COMMAND",
    request: 1,
    name: "status",
    words: [],
    by: "ada@far",
    again: false,
  });
  const answer = decodeStatus(await handleFrame(frame, { steering, note, address: "10.0.0.7" }));
  assert.equal(answer.error, null);
  assert.deepEqual(notes, [["command", { by: "ada@far (10.0.0.7)", command: "status" }]]);
  const bad = decodeStatus(await handleFrame(new Uint8Array([1, 2]), { steering, note, address: null }));
  assert.deepEqual([bad.request, bad.error?.code], [0, "E_DECODE"]);
});
