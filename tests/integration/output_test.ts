import assert from "node:assert/strict";
import { readEvals, readMetrics, readSamples } from "../../shared/metrics.ts";
import { PROGRAM, sandbox, TINY } from "./support.ts";

const RUN = [...TINY, "--device=cpu", "--nproc_per_node=1", "--eval_items=8", "--peak_tflops=0.1"];

Deno.test("train prints what computes and why, nanoGPT's lines, figures, the run's directory and what to try next", async () => {
  await using box = await sandbox();
  const { code, out, err } = await box.run(["train", ...RUN, "--log_interval=15", "--out_dir=run"]);
  assert.equal(code, 0, err);
  assert.equal(err, "");
  const [first, ...lines] = out.trimEnd().split("\n");
  assert.equal(
    first,
    "device cpu, engine onnx, 1 worker × 1 thread (--device=cpu; --nproc_per_node=1); run in run",
  );
  const steps = lines.filter((line) => line.startsWith("iter "));
  assert.deepEqual(steps.map((line) => line.split(":")[0]), ["iter 0", "iter 15", "iter 30", "iter 39"]);
  for (const line of steps) {
    assert.match(line, /^iter \d+: loss \d+\.\d{4}, time \d+\.\d\dms, mfu \d+\.\d\d%$/);
  }
  const estimates = lines.filter((line) => line.startsWith("step "));
  assert.deepEqual(estimates.map((line) => line.split(":")[0]), ["step 0", "step 20", "step 40"]);
  for (const line of estimates) assert.match(line, /^step \d+: train loss \d\.\d{4}, val loss \d\.\d{4}$/);
  assert.match(out, /exact_match +\d+\.\d\d % +\d+\.\d\d % … \d+\.\d\d % /);
  assert.equal(lines.filter((line) => line.startsWith("input ")).length, 3);
  assert.match(out, /^run directory: run$/m);
  assert.equal(lines.filter((line) => /^ {2}deno task cli (sample|eval|train) /.test(line)).length, 3);

  const logged = await Array.fromAsync(readMetrics(box.path("run", "metrics.jsonl")));
  assert.deepEqual(logged.map(({ step }) => step), [0, 15, 30, 39]);
  for (const { compute_ms, prepare_ms, apply_ms, overhead_ms } of logged) {
    const phases = [compute_ms, prepare_ms, apply_ms, overhead_ms].map(Number);
    assert.ok(phases.every((ms) => ms > 0) && phases[0] < phases[1], `${phases}`);
  }
  const evals = await Array.fromAsync(readEvals(box.path("run", "eval.jsonl")));
  assert.deepEqual(evals.map(({ step, task }) => `${step} ${task}`), [
    "0 estimate",
    "20 estimate",
    "40 estimate",
    "40 sort",
  ]);
});

Deno.test("train writes a sample at each estimate, and trains on a text that lacks a line end without any", async () => {
  await using box = await sandbox();
  const samplesOf = (run: string) => Array.fromAsync(readSamples(box.path(run, "samples.jsonl")));
  await box.train("sorts", RUN);
  assert.deepEqual((await samplesOf("sorts")).map(({ step }) => step), [20, 40]);
  await Deno.writeTextFile(box.path("input.txt"), "to be or not to be, ".repeat(500));
  assert.equal((await box.run(["prepare", "input.txt", "--data_dir=data"])).code, 0);
  await box.train("text", [...RUN, "--dataset=text", "--data_dir=data"]);
  assert.deepEqual(await samplesOf("text"), []);
});

Deno.test("train --quiet prints the result only, and its log is that of the steps it took after a resume", async () => {
  await using box = await sandbox();
  const words = [...RUN, "--lr_decay_iters=40", "--quiet", "--log_interval=5", "--out_dir=run"];
  const { code, out, err } = await box.run(["train", ...words, "--max_iters=20"]);
  assert.equal(code, 0, err);
  assert.equal(err, "");
  assert.match(out.trim(), /^sort:\n[^]*\nrun directory: run$/);
  assert.ok(!out.includes("iter "));
  // As a run that died at step 20 with lines beyond its checkpoint.
  await Deno.writeTextFile(
    box.path("run", "metrics.jsonl"),
    '{"step":25,"loss":9,"lr":0,"grad_norm":0,"tokens":0,"tokens_per_sec":0,"mfu":null,"dt_ms":0}\n{"step":3',
    { append: true },
  );
  await box.train("run", ["--init_from=resume", "--max_iters=40"]);
  const logged = await Array.fromAsync(readMetrics(box.path("run", "metrics.jsonl")));
  assert.deepEqual(logged.map(({ step }) => step), [0, 5, 10, 15, 19, 20, 25, 30, 35, 39]);
  assert.ok(logged.every(({ loss }) => loss !== null && loss < 4));
});

Deno.test("train --dry_run prints configuration, parameters, memory and FLOP, and makes nothing", async () => {
  await using box = await sandbox();
  const { code, out } = await box.run(["train", ...TINY, "--nproc_per_node=4", "--dry-run"]);
  assert.equal(code, 0);
  for (const line of ["n_embd = 24", "learning_rate = 0.001", "[reflex]", "heads = [ 2, 2, 2 ]"]) {
    assert.ok(out.includes(`\n${line}\n`), `${line} expected: ${out}`);
  }
  assert.match(out, /^# workers: 4, threads of each: 1 \(--nproc_per_node=4\)$/m);
  assert.match(out, /^# 14,544 parameters$/m);
  assert.match(out, /^# memory a worker: .* MiB, activations 0\.[1-9] MiB$/m);
  assert.match(out, /^# a step: 128 tokens, 0\.0\d+ GFLOP$/m);
  assert.deepEqual([...Deno.readDirSync(box.dir)], []);
});

const NO_SCRIPT = await whyNoScript();

Deno.test({
  name: `train shows a bar on a terminal${NO_SCRIPT === null ? "" : ` (skipped: ${NO_SCRIPT})`}`,
  ignore: NO_SCRIPT !== null,
  async fn() {
    await using box = await sandbox();
    const words = [Deno.execPath(), "run", "-A", PROGRAM, "train", ...RUN, "--out_dir=run"];
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", words.join(" "), "/dev/null"],
      cwd: box.dir,
      env: { TMPDIR: box.temporary, TERM: "xterm" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).output();
    const shown = new TextDecoder().decode(stdout);
    assert.equal(code, 0, shown);
    assert.match(shown, /█+░* iter \d+\/40 {2}loss \d\.\d{4} {2}\d+ tokens\/s {2}\d+s left/);
    assert.ok(!/^iter \d+:/m.test(shown), "no plain lines beside the bar");
    assert.match(shown, /run directory: run/);
  },
});

/** Why there is no terminal to be had here; null where `script` makes one. */
async function whyNoScript(): Promise<string | null> {
  try {
    const { success } = await new Deno.Command("script", {
      args: ["-qec", "true", "/dev/null"],
      stdin: "null",
    }).output();
    return success ? null : "script of util-linux is needed to make a terminal";
  } catch {
    return "script of util-linux is needed to make a terminal";
  }
}
