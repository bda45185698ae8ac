import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { chooseWorkers, type Place, type WorkerOptions } from "../../../coordinator/cli/choose_workers.ts";

const DEFAULTS: WorkerOptions = {
  nproc_per_node: "auto",
  gradient_accumulation_steps: 8,
  nnodes: "1",
  rdzv_endpoint: null,
};

const CPU: Place = { device: "cpu", gpus: [] };
const CUDA: Place = { device: "cuda", gpus: ["0", "1", "2"] };

const choose = (options: Partial<WorkerOptions>, place = CPU) =>
  chooseWorkers({ ...DEFAULTS, ...options }, place);

Deno.test("chooseWorkers() fills the cores, with at most one worker for each micro-batch", () => {
  const cores = availableParallelism();
  assert.equal(choose({}).count, Math.min(cores, 8));
  assert.equal(choose({ nproc_per_node: "cpu" }).count, Math.min(cores, 8));
  assert.deepEqual(choose({ gradient_accumulation_steps: 1 }), {
    count: 1,
    sockets: false,
    gpus: [],
    reason: `${cores} cores, 1 micro-batches a step`,
  });
});

Deno.test("chooseWorkers() gives one worker sockets only if others may meet it", () => {
  assert.equal(choose({ nproc_per_node: 1 }).sockets, false);
  assert.equal(choose({ nproc_per_node: 1, nnodes: "1:2" }).sockets, true);
  assert.equal(choose({ nproc_per_node: 1, rdzv_endpoint: "127.0.0.1:29500" }).sockets, true);
  assert.equal(choose({ nproc_per_node: 2 }).sockets, true);
});

Deno.test("chooseWorkers() refuses idle workers and a worker for each of no GPU", () => {
  assert.equal(choose({ nproc_per_node: 8 }).count, 8);
  assert.throws(() => choose({ nproc_per_node: 9 }), {
    code: "E_WORLD_SIZE",
    message: /8 micro-batches.*9 workers/,
  });
  assert.throws(() => choose({ nproc_per_node: "gpu" }), {
    code: "E_ENGINE",
    message: /a worker for each GPU as the run computes on the CPU/,
  });
});

Deno.test("chooseWorkers() starts a worker for each NVIDIA GPU, with at most one for each micro-batch", () => {
  for (const nproc_per_node of ["gpu", "auto"] as const) {
    assert.deepEqual(choose({ nproc_per_node }, CUDA), {
      count: 3,
      sockets: true,
      gpus: ["0", "1", "2"],
      reason: "3 GPUs, 8 micro-batches a step",
    });
  }
  assert.equal(choose({ nproc_per_node: "gpu", gradient_accumulation_steps: 2 }, CUDA).count, 2);
  assert.deepEqual(choose({ nproc_per_node: 6 }, CUDA).gpus, ["0", "1", "2"]); // two on each
});

Deno.test("chooseWorkers() starts one worker on WebGPU, which shows every process the same adapter", () => {
  for (const nproc_per_node of ["gpu", "auto"] as const) {
    const { count, gpus, reason } = choose({ nproc_per_node }, { device: "webgpu", gpus: [] });
    assert.deepEqual([count, gpus, reason], [1, [], "1 GPU, 8 micro-batches a step"]);
  }
});
