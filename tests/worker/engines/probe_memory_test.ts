import assert from "node:assert/strict";
import { join } from "node:path";
import type { Machine } from "../../../worker/engines/machine.ts";
import { probeKey, ProbeMemory } from "../../../worker/engines/probe_memory.ts";
import { inTempDir, namesIn } from "../../shared/temp_dir.ts";

const HOUR = 3600 * 1000;
const WORKS = { works: true, hardware: "a card", software: null } as const;
const FAILS = { works: false, why: "it hangs" } as const;

Deno.test("ProbeMemory.recall() gives what was remembered; failures are forgotten after a day", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "deep", "probes.json");
    await new ProbeMemory(path).remember("a", WORKS, 0);
    await new ProbeMemory(path).remember("b", FAILS, 0);
    const memory = new ProbeMemory(path);
    assert.deepEqual(await memory.recall("a", 1000 * HOUR), WORKS);
    assert.deepEqual(await memory.recall("b", 23 * HOUR), FAILS);
    assert.equal(await memory.recall("b", 25 * HOUR), undefined);
    assert.equal(await memory.recall("c", 0), undefined);
    assert.deepEqual(await namesIn(join(dir, "deep")), ["probes.json"]);
  }));

Deno.test("ProbeMemory knows nothing where its file is damaged or has no place", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "probes.json");
    for (const text of ["{", "[]", '{"a":{"at":0,"trial":{"works":"yes"}}}']) {
      await Deno.writeTextFile(path, text);
      assert.equal(await new ProbeMemory(path).recall("a"), undefined);
    }
    await new ProbeMemory(path).remember("a", WORKS);
    assert.deepEqual(await new ProbeMemory(path).recall("a"), WORKS);
    const nowhere = new ProbeMemory(join(path, "below a file"));
    await nowhere.remember("a", WORKS);
    assert.equal(await nowhere.recall("a"), undefined);
  }));

Deno.test("probeKey() changes with engine, device, driver, GPUs and adapter", async () => {
  const machine: Machine = { nvidiaGpus: ["0"], noNvidia: null, nvidiaDriver: "580.65", noGpu: null };
  const xla = { engine: "xla", device: "cuda" } as const;
  const keys = await Promise.all([
    probeKey(xla, { machine, adapter: null }),
    probeKey({ ...xla, engine: "tensorflow" }, { machine, adapter: null }),
    probeKey({ ...xla, device: "cpu" }, { machine, adapter: null }),
    probeKey(xla, { machine: { ...machine, nvidiaDriver: "590.10" }, adapter: null }),
    probeKey(xla, { machine: { ...machine, nvidiaGpus: ["1"] }, adapter: null }),
    probeKey(xla, { machine, adapter: "NVIDIA L4" }),
  ]);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(await probeKey(xla, { machine, adapter: null }), keys[0]);
});
