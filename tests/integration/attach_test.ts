import assert from "node:assert/strict";
import { steeringCommands } from "../../coordinator/steering/steering_commands.ts";
import { assertRefused, type Ended, NO_PROC, PROGRAM, type Sandbox, sandbox, TINY } from "./support.ts";
import { NO_TERMINAL, Terminal } from "./terminal.ts";

/** A run that goes on until it is stopped, and saves only what it is asked to. */
const ENDLESS = [
  ...TINY,
  "--batch_size=8",
  "--dropout=0.1",
  "--max_iters=100000",
  "--eval_interval=100000",
  "--log_interval=1",
];

function test(title: string, problem: string | null, fn: () => Promise<void>): void {
  Deno.test({
    name: problem === null ? title : `${title} (skipped: ${problem})`,
    ignore: problem !== null,
    fn,
  });
}

/** Gradient and state of each decided step of a run, from its first ledger. */
async function decisions(box: Sandbox, run: string): Promise<Map<number, string>> {
  const text = await Deno.readTextFile(box.path(run, "ledger-1.jsonl"));
  const lines = text.slice(0, text.lastIndexOf("\n")).split("\n").map((line) => JSON.parse(line));
  return new Map(
    lines.flatMap(({ step, grad_hash, state_hash }) =>
      grad_hash === undefined ? [] : [[step, `${grad_hash} ${state_hash}`]]
    ),
  );
}

/** Commands of people in a run's log, in order. */
async function loggedCommands(box: Sandbox, run: string): Promise<string[]> {
  const lines = (await Deno.readTextFile(box.path(run, "log.jsonl"))).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => event.startsWith("command"))
    .map(({ event, fields, time }) => {
      assert.match(fields.by, /^\S+@\S+$/);
      assert.ok(!Number.isNaN(Date.parse(time)));
      return `${event}: ${fields.command}`;
    });
}

/** Attaches without a terminal, and types `lines`. */
async function pipe(box: Sandbox, words: readonly string[], lines: string): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-A", PROGRAM, "attach", ...words],
    cwd: box.dir,
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

test(
  "attach looks at a run and steers it from a terminal: the bits are the same, leaving it leaves the run alone, stop ends it as Ctrl-C does",
  NO_TERMINAL ?? NO_PROC,
  async () => {
    await using box = await sandbox();
    const run = box.start(["train", ...ENDLESS, "--nproc_per_node=2", "--out_dir=run"], {
      longestMs: 400_000,
    });
    await run.says("iter 5:");
    {
      await using terminal = await Terminal.open(box, ["attach", "run"]);
      await terminal.shows(/run: \d+ of 100000 steps, making steps\n +members 2 \(at least 1\)/);
      await terminal.shows(/help lists the commands.*\nrun> $/m);

      await terminal.enter("workers");
      await terminal.shows(/^0 +worker-0 +member .*\n1 +worker-1 +member /m);

      await terminal.type("s", "Tab", "Tab");
      await terminal.shows(/^status +samples +set +save +stop/m);
      await terminal.type("ta\t\r"); // in one piece, as over a slow line
      await terminal.shows(/^run> status *\nrun: \d+ of/m);
      await terminal.type("Up", "Enter");
      await terminal.shows(/(^run> status *\nrun: \d+ of[^>]*){2}/m);

      await terminal.enter("statsu");
      await terminal.shows(
        /E_USAGE: Cannot take the command statsu as there is none: the nearest known is status/,
      );
      await terminal.enter("__proto__");
      await terminal.shows(/E_USAGE: Cannot take the command __proto__/);
      await terminal.enter("evict 9");
      await terminal.shows(
        /E_RUN: Cannot evict 9 as there is no such worker: 0 \(worker-0\), 1 \(worker-1\)/,
      );
      await terminal.enter("evict a;b");
      await terminal.shows(/E_USAGE: Cannot read the words after evict/);
      await terminal.enter("evict");
      await terminal.shows(/Usage:\n\n +evict .*<N\|ID>/);

      await terminal.type("evict w", "Tab", "1", "Enter");
      await terminal.shows(/^run> evict worker-1 *\nworker-1 is evicted; /m);
      await terminal.enter("save");
      const [, saved] = await terminal.shows(/saved: the newest checkpoint is that of step (\d+)/);
      assert.equal(
        await Deno.readTextFile(box.path("run", "checkpoints", "LATEST")).then((text) => text.trim()),
        `step-${saved.padStart(8, "0")}`,
      );

      await terminal.enter("loss");
      await terminal.shows(/\d\.\d{4} │.*\n(.*│.*\n)+ +└─+\n +0 +\d+\n +• loss {2}○ val loss/);
      await terminal.enter("samples");
      await terminal.shows(/no samples yet/);
      await terminal.enter("log 2");
      await terminal.shows(/^\d\d:\d\d:\d\d info coordinator command .*"log 2"/m);
      await terminal.enter("log none");
      await terminal.shows(/E_USAGE: Cannot show none lines/);
      await terminal.enter("resume");
      await terminal.shows(/E_RUN: Cannot resume the run as nobody has paused it/);
      await terminal.enter("pause");
      await terminal.shows(/the run pauses after the step under way \(it has made \d+\)/);
      await terminal.enter("eval");
      const [, paused] = await terminal.shows(/after (\d+) steps: train loss \d+\.\d{4}, val loss/);
      await terminal.enter("samples 1");
      await terminal.shows(new RegExp(`after ${paused} steps:\n(\\d+ )+→ \\S`));
      await terminal.enter("status");
      await terminal.shows(new RegExp(`run: ${paused} of 100000 steps, paused`));
      await terminal.enter("set learning_rate 1e-4");
      await terminal.shows(/E_CONFIG: Cannot set learning_rate .*--init_from=run@\d+ --learning_rate=1e-4/);
      await terminal.type("set l", "Tab", "2", "Enter");
      await terminal.shows(/log_interval is 2 from now on/);
      await terminal.enter("set log_interval 1");
      await terminal.shows(/log_interval is 1 from now on/);
      await terminal.enter("resume");
      await terminal.shows(/the run goes on$/m);

      await terminal.enter("watch");
      await terminal.shows(/any key ends it\n(iter \d+: loss .*\n){12,}/);
      await terminal.type("x");
      await terminal.shows(/tokens\/s\n+run> $/m);
      await terminal.enter("help");
      for (const name of [...steeringCommands.map(({ name }) => name), "quit"]) {
        await terminal.shows(new RegExp(`^ +${name} .*\\w`, "m"));
      }
      await terminal.enter("quit");
      await terminal.shows(/^ended: 0$/m);
    }
    const { text: { out } } = run;
    const seen = out.length;
    await run.says("iter"); // it has not ended
    const [[last]] = [...out.matchAll(/iter \d+:/g)].slice(-1);
    await run.says(`iter ${Number(last.slice(5, -1)) + 20}:`);
    assert.ok(run.text.out.length > seen);

    {
      await using terminal = await Terminal.open(box, ["attach", "run"]);
      await terminal.shows(/^run> $/m);
      await terminal.enter("watch 0");
      await terminal.shows(/iter 0: loss/);
      await terminal.type("C-c");
      await terminal.shows(/tokens\/s\n+run> $/m);
      await terminal.type("C-c");
      await terminal.shows(/^run> \^C\n+ended: 0$/m);
    }

    await using terminal = await Terminal.open(box, ["attach", "run"]);
    await terminal.shows(/^run> $/m);
    await terminal.enter("stop");
    await terminal.shows(/the run ends after the step under way/);
    await terminal.shows(/The run is over.*\n+ended: 0$/m);
    const ended = await run.ended;
    assert.equal(ended.code, 130, ended.err);
    assert.match(
      ended.out,
      /stopped after step \d+; to go on: deno task cli train --init_from=resume --out_dir=run/,
    );
    assert.match(ended.err, /@\S+ evicted worker-1\n.*@\S+ paused the run(.*\n)+.*@\S+ stopped the run/);
    assert.deepEqual(box.leftovers(), []);
    await assert.rejects(Deno.stat(box.path("run", "attach.json")), Deno.errors.NotFound);
    assert.deepEqual(await loggedCommands(box, "run"), [
      "command: status",
      "command: workers",
      "command: status",
      "command: status",
      "command: evict 9",
      "command_refused: evict 9",
      "command: evict worker-1",
      "command: save",
      "command: loss",
      "command: samples",
      "command: log 2",
      "command: log none",
      "command_refused: log none",
      "command: resume",
      "command_refused: resume",
      "command: pause",
      "command: eval",
      "command: samples 1",
      "command: status",
      "command: set learning_rate 1e-4",
      "command_refused: set learning_rate 1e-4",
      "command: set log_interval 2",
      "command: set log_interval 1",
      "command: resume",
      "command: watch",
      "command: status",
      "command: watch 0",
      "command: status",
      "command: stop",
    ]);

    const log = await Deno.readTextFile(box.path("run", "log.jsonl"));
    assert.match(log, /worker-1 is evicted: \S+@\S+ said so/);
    const steered = await decisions(box, "run");
    const whole = box.start(["train", ...ENDLESS, "--nproc_per_node=1", "--out_dir=whole"]);
    const [, generation] = /"generation":3,"step":(\d+)/.exec(log) ?? [];
    const rejoined = Number(generation) + 5; // steps with one worker and with two again are before it
    await whole.says(`iter ${rejoined}:`);
    const undisturbed = await decisions(box, "whole");
    assert.ok(undisturbed.has(rejoined - 1));
    for (let step = 0; step < rejoined; step++) {
      assert.equal(steered.get(step), undisturbed.get(step), `step ${step}`);
    }
  },
);

test(
  "attach takes commands from a pipe too, attaches to a run of one process, and ends with 1 if one was refused",
  NO_PROC,
  async () => {
    await using box = await sandbox();
    const run = box.start(["train", ...ENDLESS, "--nproc_per_node=1", "--out_dir=run"]);
    await run.says("iter 5:");
    const refused = await pipe(box, ["run"], "workers\nevict 0\nsave\nstatus now\n");
    assert.equal(refused.code, 1, refused.err);
    assert.match(refused.out, /^0 +worker-0 +member/m);
    assert.match(refused.out, /E_RUN: Cannot evict worker-0 as at least 1 are required to go on/);
    assert.match(refused.out, /saved: the newest checkpoint is that of step \d+/);
    const stopped = await pipe(box, ["run"], "stop\n");
    assert.deepEqual([stopped.code, stopped.err], [0, ""]);
    assert.equal((await run.ended).code, 130);
    assert.deepEqual(box.leftovers(), []);
  },
);

Deno.test("attach refuses in one sentence: no run, a run that is over, one without --allow-ffi, no keys, wrong usage", async () => {
  await using box = await sandbox();
  const refused = async (
    words: readonly string[],
    expected: { status: number; code: string; words: readonly string[] },
  ) => assertRefused(await box.run(["attach", ...words]), expected);
  const permissions = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const deaf = box.start(["train", ...ENDLESS, "--out_dir=deaf"], { permissions });
  await deaf.says("run in deaf");
  for (const run of ["nowhere", "deaf"]) {
    await refused([run], { status: 1, code: "E_RUN", words: [run, "one process without --allow-ffi"] });
  }
  deaf.kill("SIGKILL");
  const killed = box.start(["train", ...ENDLESS, "--nproc_per_node=2", "--out_dir=killed"]);
  await killed.says("iter 1:");
  killed.kill("SIGKILL");
  await killed.ended;
  while (box.leftovers().length > 0) await new Promise((resolve) => setTimeout(resolve, 50)); // its workers end
  await refused(["killed"], { status: 1, code: "E_RUN", words: ["killed", "has ended without a word"] });
  await refused(["localhost:29400"], { status: 1, code: "E_KEY", words: ["--keys"] });
  await refused([], { status: 2, code: "E_USAGE", words: ["one run is required"] });
});
