import assert from "node:assert/strict";
import { elementOf } from "../../../coordinator/cli/sweep_slurm.ts";

const STEP = { SLURM_STEP_ID: "0", SLURM_PROCID: "0" };

Deno.test("elementOf() takes the run that the array's index names, and all outside of one", () => {
  assert.deepEqual(elementOf(["a", "b", "c"], { ...STEP, SLURM_ARRAY_TASK_ID: "1" }), ["b"]);
  assert.equal(elementOf(["a", "b", "c"], STEP), null);
  assert.equal(elementOf(["a"], { SLURM_ARRAY_TASK_ID: "0" }), null); // a shell of the job, no step
});

Deno.test("elementOf() refuses an index that no run has", () => {
  assert.throws(() => elementOf(["a", "b"], { ...STEP, SLURM_ARRAY_TASK_ID: "2" }), {
    code: "E_USAGE",
    message: /element 2 of the array as there are 2 runs: submit it with --array=0-1/,
  });
});
