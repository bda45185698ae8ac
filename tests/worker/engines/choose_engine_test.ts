import assert from "node:assert/strict";
import { join } from "node:path";
import { chooseEngine } from "../../../worker/engines/choose_engine.ts";
import { type Machine, readMachine } from "../../../worker/engines/machine.ts";
import { probeKey, ProbeMemory } from "../../../worker/engines/probe_memory.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const BARE: Machine = { nvidiaGpus: [], noNvidia: "no NVIDIA GPU", nvidiaDriver: null, noGpu: "no GPU" };
const NVIDIA: Machine = { nvidiaGpus: ["0", "1"], noNvidia: null, nvidiaDriver: "test", noGpu: null };

const NOTHING = { hardware: null, gpus: [] };

/** What a machine with GPUs would remember of its trials. */
async function rememberAll(
  memory: ProbeMemory,
  trials: Record<"xla" | "tensorflow", boolean>,
): Promise<ProbeMemory> {
  for (const engine of ["xla", "tensorflow"] as const) {
    const key = await probeKey({ engine, device: "cuda" }, { machine: NVIDIA, adapter: null });
    const trial = trials[engine]
      ? { works: true, hardware: null, software: null } as const
      : { works: false, why: `${engine} is not set up` } as const;
    await memory.remember(key, trial);
  }
  return memory;
}

Deno.test({
  name: "chooseEngine() takes onnx on a machine without GPUs, fetches nothing and starts nothing",
  permissions: { ffi: true, env: true, read: true },
  async fn() {
    const choice = await chooseEngine({ engine: "auto", device: "auto" }, { machine: BARE });
    const reason = "cuda: no NVIDIA GPU; webgpu: no GPU";
    assert.deepEqual(choice, { name: "onnx", device: "cpu", reason, ...NOTHING });
  },
});

Deno.test({
  name: "chooseEngine() takes the reference where native code is denied, and names the loss of speed",
  permissions: { ffi: false, env: true, read: true },
  async fn() {
    const { name, reason } = await chooseEngine({ engine: "auto", device: "auto" }, { machine: BARE });
    assert.equal(name, "reference");
    assert.match(reason, /slower, because --allow-ffi is denied/);
  },
});

Deno.test("chooseEngine() takes the engine that is named, and says so", async () => {
  assert.deepEqual(await chooseEngine({ engine: "reference", device: "auto" }), {
    name: "reference",
    device: "cpu",
    reason: "--engine=reference",
    ...NOTHING,
  });
  assert.equal((await chooseEngine({ engine: "./mine.ts", device: "webgpu" })).device, "webgpu");
});

Deno.test("chooseEngine() refuses cuda where no NVIDIA GPU shows", async () => {
  for (const engine of ["auto", "xla", "tensorflow", "./mine.ts"]) {
    await assert.rejects(chooseEngine({ engine, device: "cuda" }, { machine: BARE }), {
      code: "E_ENGINE",
      message: /^Cannot compute on cuda.*\(cuda: no NVIDIA GPU\)/,
    });
  }
});

Deno.test("chooseEngine() takes xla on an NVIDIA GPU, tensorflow where xla does not work, and the GPUs with it", () =>
  inTempDir(async (dir) => {
    const choose = async (device: "auto" | "cuda", trials: { xla: boolean; tensorflow: boolean }) => {
      const memory = await rememberAll(new ProbeMemory(join(dir, "probes.json")), trials);
      return await chooseEngine({ engine: "auto", device }, { machine: NVIDIA, memory });
    };
    for (const device of ["auto", "cuda"] as const) {
      const xla = await choose(device, { xla: true, tensorflow: true });
      assert.deepEqual([xla.name, xla.device, xla.gpus], ["xla", "cuda", ["0", "1"]]);
    }
    const { name, reason } = await choose("auto", { xla: false, tensorflow: true });
    assert.deepEqual([name, reason], ["tensorflow", "cuda: xla is not set up"]);
  }));

const hasNvidia = (await readMachine()).noNvidia === null;

Deno.test({
  name: `chooseEngine() tries again what is named and is remembered as a failure${
    hasNvidia ? " (skipped: it may work here)" : ""
  }`,
  ignore: hasNvidia,
  fn: () =>
    inTempDir(async (dir) => {
      const memory = await rememberAll(new ProbeMemory(join(dir, "probes.json")), {
        xla: false,
        tensorflow: false,
      });
      const asked = { engine: "xla", device: "cuda" } as const;
      await assert.rejects(chooseEngine(asked, { machine: NVIDIA, memory }), (error) => {
        assert(error instanceof Error);
        assert.match(error.message, /^Cannot compute on cuda with the engine xla \(cuda: /);
        assert.doesNotMatch(error.message, /is not set up/);
        return true;
      });
    }),
});
