import assert from "node:assert/strict";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { readTensors } from "../../../shared/checkpoint/safetensors.ts";
import { exportModel } from "../../../worker/export/export_model.ts";
import { generateText } from "../../../worker/generate_text.ts";
import { loadCheckpoint } from "../../../worker/load_checkpoint.ts";
import { textRequest } from "../../../worker/text_request.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { hfFixture } from "../../fixtures.ts";
import { needing, python } from "../../python.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { fillMixed } from "../tiny_model.ts";
import { writeTinyRun, writeTinyText } from "../tiny_run.ts";
import { openTokenizer } from "../../../worker/export/files/tokenizer.mjs";
import { Writer } from "../../../worker/export/files/writer.mjs";

const COUNT = 16;

/** The ids with which transformers goes on from the fixture's prompt of 8. */
async function greedyOf(name: "hf-gpt2-tiny"): Promise<{ prompt: number[]; expected: number[] }> {
  const greedy = (await readTensors(join(hfFixture(name), "expected.safetensors"))).get("greedy")?.data ?? [];
  return { prompt: [...greedy.slice(0, 8)], expected: [...greedy.slice(8)] };
}

async function writerOf(folder: string): Promise<Writer> {
  const session = await ort.InferenceSession.create(await Deno.readFile(join(folder, "model.onnx")), {
    intraOpNumThreads: 1,
  });
  return new Writer(ort, session, JSON.parse(await Deno.readTextFile(join(folder, "config.json"))));
}

Deno.test("exportModel() as onnx: onnxruntime-node goes on as transformers does", () =>
  inTempDir(async (dir) => {
    const { prompt, expected } = await greedyOf("hf-gpt2-tiny");
    await exportModel(hfFixture("hf-gpt2-tiny"), { format: "onnx", out: join(dir, "out") });
    const writer = await writerOf(join(dir, "out"));
    assert.deepEqual(await Array.fromAsync(writer.write(prompt, { count: COUNT })), expected);
    // Beyond the context of 32 tokens it goes on from the later half.
    writer.reset();
    assert.equal((await Array.fromAsync(writer.write(prompt, { count: 40 }))).length, 40);
  }));

Deno.test({
  ...await needing(
    ["onnxruntime", "numpy"],
    "exportModel() as onnx: generate.py goes on as transformers does, with ONNX Runtime in Python",
  ),
  fn: () =>
    inTempDir(async (dir) => {
      const { prompt, expected } = await greedyOf("hf-gpt2-tiny");
      await exportModel(hfFixture("hf-gpt2-tiny"), { format: "onnx", out: join(dir, "out") });
      const { out, err } = await python([join(dir, "out", "generate.py"), prompt.join(" "), `${COUNT}`]);
      assert.equal(out.trim(), expected.join(" "), err);
    }),
});

Deno.test({
  ...await needing(
    ["onnx"],
    "exportModel() as onnx writes operators of the standard only, and what its checker takes",
  ),
  fn: () =>
    inTempDir(async (dir) => {
      const sort = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11, bias: true };
      const run = await writeTinyRun(join(dir, "run"), { config: { ...sort, attention: "router" } });
      await exportModel(run, { format: "onnx", out: join(dir, "out") });
      const check = `
import onnx, sys
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
print(sorted({node.domain for node in model.graph.node}))`;
      const { out, err } = await python(["-c", check, join(dir, "out", "model.onnx")]);
      assert.equal(out.trim(), "['']", err);
    }),
});

const VARIANTS: Record<string, Record<string, unknown>> = {
  reflex: { attention: "reflex", n_layer: 3, reflex: { heads: [1, 1, 0] } },
  "reflex kv": { attention: "reflex", n_layer: 3, reflex: { heads: [1, 1, 0], source: "kv" } },
  "top_k": {
    attention: "reflex",
    n_layer: 3,
    reflex: { heads: [1, 1, 0], depth: "all", combine: "top_k", top_k: 1 },
  },
  router: { attention: "router", n_layer: 3 },
};

function mixed(_step: number, { size }: Model): Float32Array {
  const parameters = new Float32Array(size);
  fillMixed(parameters);
  return parameters;
}

for (const [name, keys] of Object.entries(VARIANTS)) {
  Deno.test(`exportModel() as onnx holds ${name}: the same greedy answer as generateText()`, () =>
    inTempDir(async (dir) => {
      const config = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11, ...keys };
      const run = await writeTinyRun(join(dir, "run"), { config, weights: mixed });
      await exportModel(run, { format: "onnx", out: join(dir, "out") });
      await using checkpoint = await loadCheckpoint(run);
      const request = textRequest(await checkpoint.prompts(), { start: "7 1 3 9", maxNewTokens: 4 });
      const pieces = await Array.fromAsync(generateText(checkpoint, request));
      const writer = await writerOf(join(dir, "out"));
      const settings: unknown = JSON.parse(await Deno.readTextFile(join(dir, "out", "config.json")));
      const tokenizer = await openTokenizer(settings, () => Promise.reject(new Error("no file")));
      const prompt = tokenizer.encode("7 1 3 9");
      const ids = await Array.fromAsync(writer.write(prompt, { count: 4 }));
      assert.deepEqual(ids, pieces.map(({ token }) => token));
      const read = [...prompt, ...ids.slice(0, -1)];
      const all = await checkpoint.logits(read);
      writer.reset();
      for (const [at, token] of read.entries()) {
        const row = all.subarray(at * 11, (at + 1) * 11);
        assert.ok((await writer.read(token)).every((x, i) => Math.abs(x - row[i]) < 1e-4), `${at}`);
      }
    }));
}

for (const name of ["char", "byte"] as const) {
  Deno.test(`openTokenizer() of an export reads ${name}s as the program does`, () =>
    inTempDir(async (dir) => {
      const config = await writeTinyText(dir, "To be, or not to be: né 鯨?\n".repeat(40), name);
      const run = await writeTinyRun(join(dir, "run"), { config });
      await exportModel(run, { format: "onnx", out: join(dir, "out") });
      await using checkpoint = await loadCheckpoint(run);
      const settings: unknown = JSON.parse(await Deno.readTextFile(join(dir, "out", "config.json")));
      const tokenizer = await openTokenizer(settings, () => Promise.reject(new Error("no file")));
      const text = "né 鯨 or";
      assert.deepEqual(tokenizer.encode(text), [...(await checkpoint.prompts()).encode(text)]);
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }));
}
