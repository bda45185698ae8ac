import assert from "node:assert/strict";
import { readManifest } from "../../shared/checkpoint/manifest.ts";
import { sha256 } from "../../shared/hash.ts";
import { assertRefused, sandbox, TINY } from "./support.ts";

const REFERENCE = new URL("../../worker/engines/reference.ts", import.meta.url).href;

/** Counts in a file the micro-batches that another engine computes for it. */
const ENGINE = `
import { ReferenceEngine } from ${JSON.stringify(REFERENCE)};

class CountingEngine extends ReferenceEngine {
  name = "counting";

  async trainer(shape) {
    const inner = await super.trainer(shape);
    return {
      graph: inner.graph,
      gradients(batch, gradient, key) {
        Deno.writeTextFileSync("calls", key.step + " " + key.shard + "\\n", { append: true });
        return inner.gradients(batch, gradient, key);
      },
    };
  }
}

export function open(options) {
  return new CountingEngine(options);
}
`;

Deno.test("train takes a user's engine: every micro-batch goes through it, the same bytes from 1 and 2 workers, its hash in the manifest", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("my_engine.ts"), ENGINE);
  const words = [...TINY, "--max_iters=3", "--eval_items=0"];
  const expected = await box.train("reference", [...words, "--engine=reference", "--nproc_per_node=1"]);
  for (const workers of [1, 2]) {
    const own = ["--engine=./my_engine.ts", `--nproc_per_node=${workers}`];
    assert.equal(await box.train(`own-${workers}`, [...words, ...own]), expected);
    const calls = (await Deno.readTextFile(box.path("calls"))).trimEnd().split("\n");
    const shards = 8;
    // Each worker computes a first micro-batch to be compared with the others, and one of two the other's as an audit.
    assert.deepEqual([calls.length, new Set(calls).size], [
      3 * shards + workers + (workers > 1 ? 1 : 0),
      3 * shards,
    ]);
    await Deno.remove(box.path("calls"));
  }
  const { numerics } = await readManifest(box.path("own-2", "manifest.json"));
  assert.deepEqual(numerics.engine_module, { path: "./my_engine.ts", sha256: sha256(ENGINE) });

  await Deno.writeTextFile(box.path("my_engine.ts"), `${ENGINE}\n// another one\n`);
  const resume = ["train", "--init_from=resume", "--out_dir=own-2"];
  assertRefused(await box.run(resume), { status: 1, code: "E_CONFIG_HASH", words: ["engine_module.sha256"] });
});

Deno.test("train refuses a module that is no engine", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("my_engine.ts"), "export const name = 1;");
  const run = await box.run(["train", ...TINY, "--engine=./my_engine.ts", "--nproc_per_node=1"]);
  assertRefused(run, { status: 1, code: "E_ENGINE", words: ["./my_engine.ts", "open(options)", "name"] });
});
