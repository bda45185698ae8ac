/** What every engine must do in real processes: onnx and reference everywhere, others where LOCKSTEP_TEST_ENGINES names them. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readManifest } from "../../shared/checkpoint/manifest.ts";
import { sandbox, TINY } from "./support.ts";

/** Engines that need more than this checkout. */
const DEVICE_ENGINES = ["tensorflow", "webgpu", "xla"];
const AVAILABLE = new Set((Deno.env.get("LOCKSTEP_TEST_ENGINES") ?? "").split(","));
const LOCK = fileURLToPath(new URL("../../deno.lock", import.meta.url));

const RUN = [...TINY, "--max_iters=4", "--lr_decay_iters=8", "--dropout=0.1"];

/** A test over an engine, left out with its reason where the engine is not there. */
function engineTest(engine: string, title: string, fn: () => Promise<void>): void {
  const ignore = DEVICE_ENGINES.includes(engine) && !AVAILABLE.has(engine);
  const why = ignore ? ` (skipped: needs ${engine} in LOCKSTEP_TEST_ENGINES)` : "";
  Deno.test({ name: title + why, ignore, fn });
}

for (const engine of ["onnx", "reference", ...DEVICE_ENGINES]) {
  const title = `train on ${engine} gives the same bytes with 1 and 2 workers, and touches no lock file`;
  engineTest(engine, title, async () => {
    await using box = await sandbox();
    const lock = await Deno.readTextFile(LOCK);
    const words = [...RUN, `--engine=${engine}`];
    const one = await box.train("one", [...words, "--nproc_per_node=1"]);
    assert.equal(await box.train("two", [...words, "--nproc_per_node=2"]), one);
    assert.equal(await Deno.readTextFile(LOCK), lock);
  });
}

for (const engine of DEVICE_ENGINES) {
  const title = `a run of ${engine} is sampled, evaluated and resumed on onnx and back`;
  engineTest(engine, title, async () => {
    await using box = await sandbox();
    const lock = await Deno.readTextFile(LOCK);
    await box.train("run", [...RUN, `--engine=${engine}`, "--nproc_per_node=1"]);
    const samples = [];
    for (const other of [engine, "onnx"]) {
      const sampled = await box.run(["sample", "run", `--engine=${other}`]);
      assert.equal(sampled.code, 0, sampled.err);
      samples.push(sampled.out);
    }
    assert.equal(samples[0], samples[1]); // the likeliest tokens of the same weights

    const evaluated = await box.run(["eval", "run", `--engine=${engine}`, "--eval_items=4", "--json"]);
    assert.equal(evaluated.code, 0, evaluated.err);
    assert.equal(JSON.parse(evaluated.out).step, 4);

    const resume = ["--init_from=resume"];
    await box.train("run", [...resume, "--engine=onnx", "--max_iters=6"]);
    await box.train("run", [...resume, `--engine=${engine}`, "--max_iters=8"]);
    const { changes, numerics } = await readManifest(box.path("run", "manifest.json"));
    assert.deepEqual(
      [...changes.map(({ until, numerics }) => `${numerics.engine} to ${until}`), numerics.engine],
      [`${engine} to 4`, "onnx to 6", engine],
    );
    assert.equal(await Deno.readTextFile(LOCK), lock);
  });
}
