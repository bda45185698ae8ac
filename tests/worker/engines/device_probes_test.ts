/** Probes of what LOCKSTEP_TEST_ENGINES says is there: software Vulkan, TensorFlow's binding and XLA's plugin for the CPU. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { chooseEngine } from "../../../worker/engines/choose_engine.ts";
import { fetchEngine } from "../../../worker/engines/fetch_engine.ts";
import { type Machine, readMachine } from "../../../worker/engines/machine.ts";
import { probeAdapter, probeCompute } from "../../../worker/engines/probe.ts";
import { ProbeMemory } from "../../../worker/engines/probe_memory.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const AVAILABLE = (Deno.env.get("LOCKSTEP_TEST_ENGINES") ?? "").split(",");

/** A machine that shows a GPU of another vendor, so that WebGPU is asked. */
const WITH_GPU: Machine = { nvidiaGpus: [], noNvidia: "no NVIDIA GPU", nvidiaDriver: null, noGpu: null };
/** One that shows an NVIDIA GPU, which is not there. */
const NVIDIA: Machine = { nvidiaGpus: ["0"], noNvidia: null, nvidiaDriver: "none", noGpu: null };

const found = AVAILABLE.includes("webgpu") ? await probeAdapter() : { failure: "not asked" };
const software = "answer" in found && found.answer?.software === true ? found.answer.name : null;

Deno.test({
  name: `chooseEngine() takes no software adapter by itself, takes it when named, and says what it is${
    software === null ? " (skipped: needs Mesa's software Vulkan, and webgpu in LOCKSTEP_TEST_ENGINES)" : ""
  }`,
  ignore: software === null,
  async fn() {
    const auto = await chooseEngine({ engine: "auto", device: "auto" }, { machine: WITH_GPU });
    assert.deepEqual([auto.name, auto.device, auto.hardware], ["onnx", "cpu", null]);
    assert.equal(auto.reason, `cuda: no NVIDIA GPU; webgpu: ${software} is software`);
    for (
      const asked of [{ engine: "webgpu", device: "auto" }, { engine: "auto", device: "webgpu" }] as const
    ) {
      const { name, device, hardware } = await chooseEngine(asked);
      assert.deepEqual([name, device], ["webgpu", "webgpu"]);
      assert.ok(hardware?.startsWith(`${software}, a software adapter that computes on the CPU, `));
    }
  },
});

for (const [engine, device] of [["webgpu", "webgpu"], ["tensorflow", "cpu"], ["xla", "cpu"]] as const) {
  const ignore = !AVAILABLE.includes(engine);
  Deno.test({
    name: `probeCompute() finds that ${engine} computes on ${device}${
      ignore ? ` (skipped: needs ${engine} in LOCKSTEP_TEST_ENGINES)` : ""
    }`,
    ignore,
    async fn() {
      const runOptions = await fetchEngine(engine);
      const trial = await probeCompute({ engine, device }, { runOptions });
      assert.deepEqual(trial, { works: true, hardware: null, software: null });
    },
  });
}

const forCpu = AVAILABLE.includes("tensorflow") && (await readMachine()).noNvidia !== null;

Deno.test({
  name: `chooseEngine() refuses cuda with a binding for the CPU, and says what to run${
    forCpu ? "" : " (skipped: needs tensorflow in LOCKSTEP_TEST_ENGINES, and no GPU)"
  }`,
  ignore: !forCpu,
  fn: () =>
    inTempDir(async (dir) => {
      const memory = new ProbeMemory(join(dir, "probes.json"));
      const options = { machine: NVIDIA, memory };
      await assert.rejects(chooseEngine({ engine: "tensorflow", device: "cuda" }, options), {
        code: "E_ENGINE",
        message: /^Cannot compute on cuda with the engine tensorflow \(cuda: .*setup-tensorflow --cuda/,
      });
      const { name, reason } = await chooseEngine({ engine: "auto", device: "auto" }, options);
      assert.equal(name, "onnx");
      assert.match(reason, /^cuda: xla: .*setup-xla --cuda, tensorflow: .*setup-tensorflow --cuda/);
    }),
});
