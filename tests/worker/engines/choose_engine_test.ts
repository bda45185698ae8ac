import assert from "node:assert/strict";
import { join } from "node:path";
import { chooseEngine, type Probes } from "../../../worker/engines/choose_engine.ts";
import type { Trial } from "../../../worker/engines/decide_engine.ts";
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

Deno.test("chooseEngine() takes webgpu where a real adapter computes as it should, and remembers that", () =>
  inTempDir(async (dir) => {
    const machine = { ...BARE, noGpu: null };
    const memory = new ProbeMemory(join(dir, "probes.json"));
    const calls: string[] = [];
    const choose = (name: string, trial: Trial) =>
      chooseEngine({ engine: "auto", device: "auto" }, {
        machine,
        memory,
        probes: {
          adapter: () => Promise.resolve({ answer: { name, software: false, bufferBytes: 2 ** 30 } }),
          compute({ engine, device }, { offline }) {
            calls.push(`${engine} ${device} ${offline ? "offline" : "online"}`);
            return Promise.resolve(trial);
          },
        },
      });
    for (let start = 0; start < 2; start++) {
      assert.deepEqual(await choose("Radeon", { works: true, hardware: null, software: null }), {
        name: "webgpu",
        device: "webgpu",
        reason: "cuda: no NVIDIA GPU",
        hardware: "Radeon, power preference high-performance, buffers of up to 1,024 MiB",
        gpus: [],
      });
    }
    assert.deepEqual(calls, ["webgpu webgpu online"]);
    for (let start = 0; start < 2; start++) {
      const { name, reason } = await choose("Arc", { works: false, why: "its results are wrong by 3" });
      assert.deepEqual([name, reason], ["onnx", "cuda: no NVIDIA GPU; webgpu: its results are wrong by 3"]);
    }
    assert.equal(calls.length, 2);
  }));

Deno.test("chooseEngine() downloads nothing for CUDA unless the engine or the device is named", () =>
  inTempDir(async (dir) => {
    const calls: string[] = [];
    const compute: Probes["compute"] = ({ engine }, { offline }) => {
      calls.push(`${engine} ${offline ? "offline" : "online"}`);
      return Promise.resolve({ works: false, why: "not there" });
    };
    const adapter: Probes["adapter"] = () => Promise.resolve({ answer: null });
    const options = {
      machine: NVIDIA,
      memory: new ProbeMemory(join(dir, "probes.json")),
      probes: { adapter, compute },
    };
    const auto = await chooseEngine({ engine: "auto", device: "auto" }, options);
    assert.equal(auto.name, "onnx");
    assert.match(auto.reason, /^cuda: not there; webgpu: no adapter answers/);
    await assert.rejects(chooseEngine({ engine: "auto", device: "cuda" }, options), { code: "E_ENGINE" });
    assert.deepEqual(calls, ["xla offline", "tensorflow offline", "xla online", "tensorflow online"]);
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
