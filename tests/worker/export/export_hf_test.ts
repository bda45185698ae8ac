import assert from "node:assert/strict";
import { join } from "node:path";
import { readTensors } from "../../../shared/checkpoint/safetensors.ts";
import { exportModel } from "../../../worker/export/export_model.ts";
import { loadCheckpoint } from "../../../worker/load_checkpoint.ts";
import { hfFixture } from "../../fixtures.ts";
import { needing, python } from "../../python.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { writeTinyRun, writeTinyText } from "../tiny_run.ts";

for (const name of ["hf-gpt2-tiny", "hf-gpt2-erf"] as const) {
  Deno.test(`exportModel() as hf of ${name} gives the same bytes of each tensor back`, () =>
    inTempDir(async (dir) => {
      await exportModel(hfFixture(name), { format: "hf", out: join(dir, "out") });
      const [before, after] = await Promise.all(
        [hfFixture(name), join(dir, "out")].map((path) => readTensors(join(path, "model.safetensors"))),
      );
      assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort());
      for (const [key, { shape, data }] of before) {
        assert.deepEqual(after.get(key)?.shape, shape, key);
        const bytes = (view: Float32Array | Int32Array) =>
          new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
        assert.deepEqual(bytes(after.get(key)?.data ?? new Int32Array()), bytes(data), key);
      }
    }));
}

const LOAD = `
import sys, json
from transformers import AutoModelForCausalLM, AutoTokenizer
import torch
for folder in sys.argv[2:]:
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(sys.argv[1])["input_ids"]
    with torch.no_grad(): logits = model(torch.tensor([ids])).logits
    print(json.dumps({"missing": sorted(info["missing_keys"]), "unexpected": sorted(info["unexpected_keys"]), "ids": ids,
                      "text": tokenizer.decode(ids), "logits": logits.flatten().tolist()}))
`;

/** What the program above prints of each folder. */
interface Loaded {
  readonly missing: string[];
  readonly unexpected: string[];
  readonly ids: number[];
  readonly text: string;
  readonly logits: number[];
}

Deno.test({
  ...await needing(
    ["torch", "transformers"],
    "exportModel() as hf of runs on text: transformers misses no key, reads text alike, gives the same logits",
  ),
  fn: () =>
    inTempDir(async (dir) => {
      const text = "né or";
      const runs: string[] = [];
      for (const tokenizer of ["char", "byte"] as const) {
        const folder = join(dir, tokenizer);
        await Deno.mkdir(folder);
        const config = await writeTinyText(folder, "To be, or not to be: né?\n".repeat(40), tokenizer);
        runs.push(await writeTinyRun(join(folder, "run"), { config }));
      }
      const folders = runs.map((run) => join(run, "hf"));
      for (const [i, run] of runs.entries()) await exportModel(run, { format: "hf", out: folders[i] });
      const { out, err } = await python(["-c", LOAD, text, ...folders]); // takes seconds to import
      const all = out.trim().split("\n").map((line): Loaded => JSON.parse(line));
      assert.equal(all.length, 2, err);
      for (const [i, run] of runs.entries()) {
        assert.deepEqual([all[i].missing, all[i].unexpected, all[i].text], [[], [], text]);
        await using checkpoint = await loadCheckpoint(run);
        const ids = (await checkpoint.prompts()).encode(text);
        assert.deepEqual(all[i].ids, [...ids]);
        const ours = await checkpoint.logits(ids);
        assert.ok(ours.every((x, j) => Math.abs(x - all[i].logits[j]) < 1e-4));
        await using again = await loadCheckpoint(folders[i], { engine: "reference" });
        assert.deepEqual((await again.prompts()).encode(text), ids);
        assert.ok((await again.logits(ids)).every((x, j) => Math.abs(x - ours[j]) < 1e-5));
      }
    }),
});

Deno.test("exportModel() names the variant that a format cannot hold, and leaves nothing behind", () =>
  inTempDir(async (dir) => {
    const sort = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11 };
    const reflex = { ...sort, attention: "reflex", reflex: { heads: [1, 1, 0] } };
    const cases = {
      reflex: { config: reflex, variant: /attention = reflex \(combine = concat, source = hidden\)/ },
      router: { config: { ...sort, attention: "router" }, variant: /attention = router/ },
    };
    for (const [name, { config, variant }] of Object.entries(cases)) {
      const run = await writeTinyRun(join(dir, name), { config });
      for (const format of ["hf", "nanogpt"] as const) {
        await assert.rejects(exportModel(run, { format, out: join(dir, "out") }), {
          code: "E_MODEL",
          message: variant,
        });
      }
    }
    const tanh = await writeTinyRun(join(dir, "tanh"), { config: { ...sort, activation: "gelu_tanh" } });
    await assert.rejects(exportModel(tanh, { format: "nanogpt", out: join(dir, "out") }), {
      code: "E_MODEL",
      message: /the model has activation = gelu_tanh/,
    });
    assert.deepEqual((await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort(), [
      "reflex",
      "router",
      "tanh",
    ]);
    await assert.rejects(exportModel(tanh, { format: "hf", out: dir }), { code: "E_OUT_DIR" });
  }));
