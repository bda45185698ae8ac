import assert from "node:assert/strict";
import { main } from "../../../coordinator/cli/main.ts";
import { callSubmitter } from "../../../coordinator/cli/submit.ts";

/** Runs `submit slurm WORDS --dry-run`. */
async function dryRun(...words: string[]) {
  const printed: string[] = [];
  const errors: string[] = [];
  const { log } = console;
  console.log = (line: string) => void printed.push(line);
  try {
    const output = {
      out: (line: string) => void printed.push(line),
      err: (line: string) => void errors.push(line),
    };
    const status = await main(["submit", "slurm", ...words, "--dry-run"], { output });
    return { status, script: printed.join("\n"), err: errors.join("\n") };
  } finally {
    console.log = log;
  }
}

const directive = (script: string, name: string) =>
  new RegExp(`^#SBATCH --${name}=(.*)$`, "m").exec(script)?.[1];

Deno.test("submit slurm asks for what its options say, and leaves every other word to train", async () => {
  const { status, script } = await dryRun(
    "sort-100",
    "--nodes=2",
    "--gpus-per-node",
    "4",
    "--time=8:00:00",
    "--max-iters=7",
    "--bias",
  );
  assert.equal(status, 0);
  assert.deepEqual(
    ["job-name", "nodes", "gpus-per-node", "time", "output", "signal", "partition"].map((name) =>
      directive(script, name)
    ),
    ["sort-100", "2", "4", "8:00:00", "out/sort-100-%j.out", "USR1@90", undefined],
  );
  assert.match(script, /\n {2}train sort-100 --max-iters=7 --bias$/);
});

Deno.test("submit slurm takes as many machines as --nnodes says, and keeps the step without one of MIN:MAX", async () => {
  const both = await dryRun("--nnodes=1:4", "--ntasks-per-node=2");
  assert.equal(directive(both.script, "nodes"), "2");
  assert.match(both.script, /^srun --no-kill /m);
  const all = await dryRun("--nnodes=2");
  assert.equal(directive(all.script, "nodes"), "2");
  assert.match(all.script, /^srun --kill-on-bad-exit=1 --wait=60 /m);
});

Deno.test("submit slurm puts output where the run is, and one for each job of an array", async () => {
  const given = await dryRun("--out_dir=runs/a");
  assert.equal(directive(given.script, "output"), "runs/a/slurm-%j.out");
  const array = await dryRun("--array=0-3");
  assert.equal(directive(array.script, "output"), "out/sort-demo-%A_%a.out");
});

const refusals: [string, string[], RegExp][] = [
  ["a preset that is not known", ["sort-dem"], /^error E_PRESET: /],
  [
    "a key that is not known, naming an option",
    ["--partitoin=gpu"],
    /^error E_CONFIG: .* nearest known is partition$/,
  ],
  [
    "a time that is none",
    ["--time=tomorrow"],
    /^error E_CONFIG: Cannot set time .* must be minutes, .*"tomorrow"/,
  ],
  [
    "a value that would add a directive",
    ["--partition=a\n#SBATCH --uid=0"],
    /^error E_CONFIG: Cannot set partition/,
  ],
  ["a signal that train does not know", ["--signal=KILL@9"], /^error E_CONFIG: .* USR1@SECONDS/],
  ["nodes that contradict", ["--nodes=3", "--nnodes=1:2"], /^error E_CONFIG: .*--nodes=2, or leave it out$/],
  [
    "an array in one folder",
    ["--array=0-1", "--out_dir=x"],
    /^error E_CONFIG: .* folder of its own: leave it out$/,
  ],
];

for (const [what, words, line] of refusals) {
  Deno.test(`submit slurm refuses ${what}`, async () => {
    const { status, script, err } = await dryRun(...words);
    assert.equal(status, 2);
    assert.equal(script, "");
    assert.match(err, line);
  });
}

Deno.test("callSubmitter() says what to do where the program is missing, and repeats why it refuses", async () => {
  const options = { input: "x".repeat(100_000), missing: "go elsewhere" };
  await assert.rejects(callSubmitter(["no-such-sbatch"], options), {
    code: "E_SUBMIT",
    message: /no-such-sbatch cannot be run: go elsewhere, or print .* --dry_run$/,
  });
  await assert.rejects(callSubmitter(["sh", "-c", "echo not; echo today >&2; exit 3"], options), {
    code: "E_SUBMIT",
    message: "Cannot submit the job as sh refused it: today",
  });
  assert.equal(await callSubmitter(["wc", "-c"], options), "100000");
});
