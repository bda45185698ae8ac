import assert from "node:assert/strict";
import { resolveTrainConfig } from "../../../coordinator/cli/resolve_train_config.ts";
import { type Environment, readLaunch } from "../../../coordinator/launch/environment.ts";

const SLURM = {
  SLURM_JOB_ID: "8123456",
  SLURM_STEP_ID: "0",
  SLURM_PROCID: "1",
  SLURM_LOCALID: "0",
  SLURM_NTASKS: "2",
  SLURM_STEP_NUM_TASKS: "2",
  SLURM_STEP_NUM_NODES: "2",
  SLURM_STEP_NODELIST: "gpu[07-08]",
};

const launch = (environment: Environment, out_dir: string | null = null) =>
  readLaunch(environment, { preset: "sort-demo", out_dir });

Deno.test("readLaunch() takes nodes, ranks, the first host, a port of the job's own and its directory from Slurm", () => {
  assert.deepEqual(launch(SLURM), {
    launcher: "slurm",
    restarts: false,
    decides: {
      nnodes: "2",
      node_rank: 1,
      local_rank: 0,
      nproc_per_node: undefined,
      master_addr: "gpu07",
      master_port: 18_456,
      rdzv_id: "slurm-8123456",
      out_dir: "out/sort-demo-8123456",
      keys: "out/sort-demo-8123456/keys",
    },
  });
});

Deno.test("readLaunch() keeps a Slurm job's keys in the folder that is given, or in one for each job of an array", () => {
  const array = { ...SLURM, SLURM_ARRAY_JOB_ID: "17", SLURM_ARRAY_TASK_ID: "3" };
  for (
    const [{ decides }, out_dir] of [
      [launch(SLURM, "runs/one"), "runs/one"],
      [launch(array), "out/sort-demo-17_3"],
    ] as const
  ) assert.deepEqual([decides.out_dir, decides.keys], [out_dir, `${out_dir}/keys`]);
});

Deno.test("readLaunch() knows a job that comes back from the queue", () => {
  assert.equal(launch({ ...SLURM, SLURM_RESTART_COUNT: "1" }).restarts, true);
  assert.equal(launch({ ...SLURM, SLURM_RESTART_COUNT: "0" }).restarts, false);
});

Deno.test("readLaunch() counts each task as a node of one worker where Slurm starts several on a machine", () => {
  const { decides } = launch({ ...SLURM, SLURM_STEP_NUM_TASKS: "8", SLURM_PROCID: "5", SLURM_LOCALID: "1" });
  assert.equal(decides.nnodes, "8");
  assert.equal(decides.node_rank, 5);
  assert.equal(decides.local_rank, 1);
  assert.equal(decides.nproc_per_node, 1);
});

Deno.test("readLaunch() takes torchrun's variables, and a Job's index from Kubernetes", () => {
  const meeting = { MASTER_ADDR: "head", MASTER_PORT: "2222" };
  const torchrun = launch({ ...meeting, RANK: "3", WORLD_SIZE: "4", LOCAL_RANK: "1" });
  assert.equal(torchrun.launcher, "torchrun");
  assert.deepEqual(torchrun.decides, {
    nnodes: "4",
    node_rank: 3,
    local_rank: 1,
    nproc_per_node: 1,
    master_addr: "head",
    master_port: 2222,
  });
  const kubernetes = launch({ ...meeting, JOB_COMPLETION_INDEX: "2" });
  assert.equal(kubernetes.launcher, "kubernetes");
  assert.deepEqual(kubernetes.decides, { node_rank: 2, master_addr: "head", master_port: 2222 });
});

Deno.test("readLaunch() says nothing without a launcher, nor in a batch script that runs no step", () => {
  const { SLURM_JOB_ID, SLURM_NTASKS } = SLURM;
  for (const environment of [{}, { SLURM_JOB_ID, SLURM_NTASKS, SLURM_PROCID: "0" }]) {
    const { launcher, decides } = launch(environment);
    assert.equal(launcher, null);
    assert.ok(Object.values(decides).every((value) => value === undefined));
  }
});

Deno.test("readLaunch() refuses a variable that is no number, and names it", () => {
  assert.throws(() => launch({ RANK: "one", WORLD_SIZE: "2" }), { code: "E_CONFIG", message: /RANK=one/ });
});

Deno.test("resolveTrainConfig() lets options decide before the launcher, and an endpoint before its address", async () => {
  const words = ["--nproc-per-node=3", "--nnodes=1:2", "--rdzv-endpoint=other:1"];
  const { config, launcher } = await resolveTrainConfig(words, { environment: SLURM });
  assert.equal(launcher, "slurm");
  assert.deepEqual(
    [config.nproc_per_node, config.nnodes, config.node_rank, config.master_addr, config.rdzv_endpoint],
    [3, "1:2", 1, null, "other:1"],
  );
});
