import assert from "node:assert/strict";
import { type Check, runCheck } from "../../../coordinator/doctor/check.ts";
import { denoCheck } from "../../../coordinator/doctor/deno_check.ts";
import { type Computed, engineCheck } from "../../../coordinator/doctor/engine_check.ts";
import { filesCheck } from "../../../coordinator/doctor/files_check.ts";
import { gpuCheck, type Gpus } from "../../../coordinator/doctor/gpu_check.ts";
import { libzmqCheck } from "../../../coordinator/doctor/libzmq_check.ts";
import { memoryCheck } from "../../../coordinator/doctor/memory_check.ts";
import { shmCheck } from "../../../coordinator/doctor/shm_check.ts";
import { workersCheck } from "../../../coordinator/doctor/workers_check.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { contextOf, ENGINE, NEEDS, WORKERS } from "./context.ts";

const REFUSED = new LockstepError("E_ENGINE", "Cannot compute");

async function statusOf(check: Check, ...given: Parameters<typeof contextOf>): Promise<string> {
  return (await runCheck(check, await contextOf(...given))).status;
}

Deno.test("runCheck() makes a refusal a failure with its code, and goes on after any other error", async () => {
  const context = await contextOf();
  const check = (error: Error): Check => ({ name: "it", run: () => Promise.reject(error) });
  const refused = await runCheck(check(REFUSED), context);
  assert.deepEqual([refused.name, refused.status, refused.detail], [
    "it",
    "failure",
    "E_ENGINE: Cannot compute",
  ]);
  const broken = await runCheck(check(new TypeError("x is not a function")), context);
  assert.deepEqual([broken.status, broken.detail], [
    "failure",
    "could not be looked at: x is not a function",
  ]);
});

Deno.test("denoCheck() warns of a version older than the tested one", async () => {
  const statuses = await Promise.all(
    ["2.9.6", "2.10.0", "3.0.0", "2.9.6+abc", "2.9.5", "2.8.9", "1.46.3"].map((version) =>
      statusOf(denoCheck({ version }))
    ),
  );
  assert.deepEqual(statuses, ["ok", "ok", "ok", "ok", "warning", "warning", "warning"]);
});

Deno.test("libzmqCheck() fails a run that needs sockets, and warns one that does not", async () => {
  const missing = libzmqCheck({
    load() {
      throw new LockstepError("E_ZMQ", "Cannot load libzmq");
    },
  });
  const one = { workers: { ...WORKERS, count: 1 } };
  assert.equal(await statusOf(missing), "failure");
  assert.equal(await statusOf(missing, [], one), "warning");
  assert.equal(await statusOf(missing, ["--nnodes=2"], one), "failure");
  assert.equal(await statusOf(missing, ["--nproc_per_node=2"], { workers: REFUSED }), "failure");
  assert.equal(await statusOf(libzmqCheck({ load: () => "4.3.5" })), "ok");
});

Deno.test("engineCheck() tells the speed, or why the engine does not compute", async () => {
  const check = (computed: Computed) => engineCheck({ compute: () => Promise.resolve(computed) });
  const works = await runCheck(check({ works: true, gflops: 61.234 }), await contextOf());
  assert.equal(works.detail, "onnx on cpu, 61.2 GFLOP/s in a small training step on 1 thread; no GPU");
  const fails = await runCheck(check({ works: false, why: "its results are wrong by 7" }), await contextOf());
  assert.equal(fails.status, "failure");
  assert.match(fails.detail, /wrong by 7/);
  const untried = await runCheck(check({ works: null, why: "--allow-run is denied" }), await contextOf());
  assert.equal(untried.status, "warning");
  const none = await runCheck(check({ works: true, gflops: 1 }), await contextOf([], { engine: REFUSED }));
  assert.equal(none.detail, "E_ENGINE: Cannot compute");
});

Deno.test("gpuCheck() warns of a GPU that a run would leave alone, unless it was told to", async () => {
  const check = (gpus: Partial<Gpus>) =>
    gpuCheck({
      read: () => Promise.resolve({ nvidia: [], driver: null, adapter: null, none: null, ...gpus }),
    });
  assert.equal(await statusOf(check({ none: "no GPU" })), "ok");
  assert.equal(await statusOf(check({ nvidia: ["0"] })), "warning");
  assert.equal(await statusOf(check({ adapter: "Radeon" })), "warning");
  assert.equal(await statusOf(check({ nvidia: ["0"] }), ["--device=cpu"]), "ok");
  assert.equal(await statusOf(check({ nvidia: ["0"] }), [], { engine: { ...ENGINE, device: "cuda" } }), "ok");
  assert.equal(await statusOf(check({ nvidia: ["0"] }), [], { engine: REFUSED }), "ok");
});

Deno.test("workersCheck() warns of more threads than cores, on a CPU", async () => {
  assert.equal(await statusOf(workersCheck({ cores: 2 })), "ok");
  assert.equal(await statusOf(workersCheck({ cores: 3 }), ["--threads=2"]), "warning");
  const gpu = { engine: { ...ENGINE, device: "cuda" as const } };
  assert.equal(await statusOf(workersCheck({ cores: 1 }), [], gpu), "ok");
});

Deno.test("memoryCheck() counts every worker and the coordinator, and knows how large an arena may be", async () => {
  const check = (memoryBytes: number | null) =>
    memoryCheck({ read: () => Promise.resolve({ memoryBytes, memoryOf: "its cgroup" }) });
  const gib = 2 ** 30; // two workers of one each, and 200 MiB
  assert.equal(await statusOf(check(4 * gib)), "ok");
  assert.equal(await statusOf(check(2.5 * gib)), "warning");
  assert.equal(await statusOf(check(2.1 * gib)), "failure");
  assert.equal(await statusOf(check(null)), "warning");
  assert.equal(
    await statusOf(check(1.3 * gib), [], { workers: { ...WORKERS, count: 1, sockets: false } }),
    "ok",
  );
  const large = { needs: { ...NEEDS, arenaBytes: 4.1 * gib } };
  assert.equal(await statusOf(check(1e15), [], large), "failure");
});

Deno.test("shmCheck() warns where workers cannot read each other's memory", async () => {
  const check = (problem: string | null) =>
    shmCheck({ share: () => problem, read: () => Promise.resolve({ shmBytes: 64 << 20 }) });
  assert.equal(await statusOf(check(null)), "ok");
  assert.equal(await statusOf(check("it is forbidden")), "warning");
  assert.equal(await statusOf(check("it is forbidden"), [], { workers: { ...WORKERS, count: 1 } }), "ok");
  const { detail } = await runCheck(check(null), await contextOf());
  assert.match(detail, /\/dev\/shm has 64\.0 MiB/);
});

Deno.test("filesCheck() needs more open files for more workers", async () => {
  const check = (openFiles: number | null) => filesCheck({ read: () => Promise.resolve({ openFiles }) });
  assert.equal(await statusOf(check(64)), "failure");
  assert.equal(await statusOf(check(256)), "warning");
  assert.equal(await statusOf(check(1_024)), "ok");
  assert.equal(await statusOf(check(null)), "ok");
  assert.equal(await statusOf(check(1_024), ["--nnodes=1:64"]), "failure");
});
