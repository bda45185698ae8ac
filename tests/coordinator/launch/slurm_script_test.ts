import assert from "node:assert/strict";
import { renderSlurmScript, type SlurmJob } from "../../../coordinator/launch/slurm_script.ts";

const NOTHING = {
  gpus_per_node: null,
  cpus_per_task: null,
  mem: null,
  time: null,
  partition: null,
  account: null,
  qos: null,
  constraint: null,
  array: null,
};

const JOB: SlurmJob = {
  options: {
    ...NOTHING,
    job_name: "sort-demo",
    nodes: 2,
    ntasks_per_node: 1,
    output: "out/sort-demo-%j.out",
    signal: "USR1@90",
    requeue: true,
  },
  directory: "/home/ada/it's mine",
  environment: { TUNED: "1" },
  program: ["/opt/deno", "run", "/opt/lockstep/mod.ts"],
  words: ["train", "sort-demo", "--reflex.heads=[2,2,2]"],
  elastic: false,
};

Deno.test("renderSlurmScript() writes a script that a person can read, and a shell", () => {
  assert.equal(
    renderSlurmScript(JOB),
    `#!/bin/sh
#SBATCH --job-name=sort-demo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --chdir="/home/ada/it's mine"
#SBATCH --output=out/sort-demo-%j.out
#SBATCH --open-mode=append
#SBATCH --signal=USR1@90
#SBATCH --requeue

export TUNED=1
srun --kill-on-bad-exit=1 --wait=60 \\
  /opt/deno run /opt/lockstep/mod.ts \\
  train sort-demo '--reflex.heads=[2,2,2]'
`,
  );
});

Deno.test("renderSlurmScript() names what is asked for, and gives steps their cores", () => {
  const script = renderSlurmScript({
    ...JOB,
    options: {
      ...JOB.options,
      gpus_per_node: "a100:4",
      cpus_per_task: 8,
      mem: "64G",
      time: "1-00",
      partition: "gpu",
      account: "us",
      qos: "high",
      constraint: "a100|h100",
      array: "0-3%2",
      signal: null,
      requeue: false,
    },
  });
  for (
    const directive of [
      "gpus-per-node=a100:4",
      "cpus-per-task=8",
      "mem=64G",
      "time=1-00",
      "partition=gpu",
      "account=us",
      "qos=high",
      "constraint=a100|h100",
      "array=0-3%2",
      "no-requeue",
    ]
  ) assert.ok(script.includes(`\n#SBATCH --${directive}\n`), `${directive} is missing in ${script}`);
  assert.ok(!script.includes("--signal"));
  assert.match(script, /^srun --kill-on-bad-exit=1 --wait=60 --cpus-per-task=8 \\$/m);
});

Deno.test("renderSlurmScript() keeps job and step without a node that is lost, for a run that survives it", () => {
  const script = renderSlurmScript({ ...JOB, elastic: true });
  assert.match(script, /^#SBATCH --no-kill$/m);
  assert.match(script, /^srun --no-kill --kill-on-bad-exit=0 --wait=0 \\$/m);
});

Deno.test("renderSlurmScript() refuses a path that would add a directive", () => {
  const options = { ...JOB.options, output: "a\n#SBATCH --uid=0" };
  assert.throws(() => renderSlurmScript({ ...JOB, options }), { code: "E_CONFIG", message: /one line/ });
});
