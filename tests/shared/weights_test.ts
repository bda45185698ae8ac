import assert from "node:assert/strict";
import { join } from "node:path";
import { type NamedTensor, readTensors, writeTensors } from "../../shared/checkpoint/safetensors.ts";
import { openWeights, readWeights } from "../../shared/weights.ts";
import { hfFixture } from "../fixtures.ts";
import { inTempDir } from "./temp_dir.ts";

const TINY = hfFixture("hf-gpt2-tiny");

/** A copy of the fixture whose config.json and tensors a test changes. */
async function changed(
  dir: string,
  { config = {}, tensors = (all) => all }: {
    config?: Record<string, unknown>;
    tensors?: (all: NamedTensor[]) => NamedTensor[];
  },
): Promise<string> {
  const original: Record<string, unknown> = JSON.parse(await Deno.readTextFile(join(TINY, "config.json")));
  await Deno.writeTextFile(join(dir, "config.json"), JSON.stringify({ ...original, ...config }));
  await writeTensors(join(dir, "model.safetensors"), tensors(await tinyTensors()));
  return dir;
}

async function tinyTensors(): Promise<NamedTensor[]> {
  const read = await readTensors(join(TINY, "model.safetensors"));
  return [...read].map(([name, { shape, data }]) => ({ name, shape, data }));
}

Deno.test("openWeights() reads transformers' config.json, readWeights() gives nanoGPT's names and layout", async () => {
  const weights = await openWeights(TINY);
  assert.deepEqual(weights.model, {
    n_layer: 3,
    n_head: 4,
    n_embd: 48,
    block_size: 32,
    vocab_size: 101,
    bias: true,
    activation: "gelu_tanh",
    attention: "causal",
  });
  const parameters = await readWeights(weights);
  assert.deepEqual(parameters.get("transformer.h.0.attn.c_attn.weight")?.shape, [144, 48]);
  assert.deepEqual(parameters.get("transformer.h.2.mlp.c_proj.weight")?.shape, [48, 192]);
  assert.deepEqual(parameters.get("transformer.wte.weight")?.shape, [101, 48]);
  const stored = (await readTensors(join(TINY, "model.safetensors"))).get("transformer.h.1.mlp.c_fc.weight");
  const turned = parameters.get("transformer.h.1.mlp.c_fc.weight");
  assert.equal(turned?.data[5 * 48 + 7], stored?.data[7 * 192 + 5]);
});

Deno.test("readWeights() takes OpenAI's names, causal masks and a tied head, which are no parameters", () =>
  inTempDir(async (dir) => {
    const path = await changed(dir, {
      tensors: (all) => [
        ...all.map((tensor) => ({ ...tensor, name: tensor.name.replace(/^transformer\./, "") })),
        { name: "h.0.attn.bias", shape: [1, 1, 2, 2], data: new Float32Array(4) },
        {
          name: "lm_head.weight",
          shape: [101, 48],
          data: all.find(({ name }) => name.endsWith("wte.weight"))?.data ?? new Float32Array(0),
        },
      ],
    });
    assert.deepEqual(await readWeights(await openWeights(path)), await readWeights(await openWeights(TINY)));
  }));

Deno.test("readWeights() refuses a head that is not tied", () =>
  inTempDir(async (dir) => {
    const head = { name: "lm_head.weight", shape: [101, 48], data: new Float32Array(101 * 48) };
    const path = await changed(dir, { tensors: (all) => [...all, head] });
    await assert.rejects(readWeights(await openWeights(path)), {
      code: "E_WEIGHTS",
      message: /lm_head\.weight must be transformer\.wte\.weight/,
    });
  }));

Deno.test("openWeights() reads shards as one, and only those beside their list", () =>
  inTempDir(async (dir) => {
    await Deno.copyFile(join(TINY, "config.json"), join(dir, "config.json"));
    const all = await tinyTensors();
    const parts = [all.slice(0, 17), all.slice(17)];
    const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (const [i, part] of parts.entries()) await writeTensors(join(dir, names[i]), part);
    const weight_map = Object.fromEntries(
      parts.flatMap((part, i) => part.map(({ name }) => [name, names[i]])),
    );
    const index = join(dir, "model.safetensors.index.json");
    await Deno.writeTextFile(index, JSON.stringify({ metadata: {}, weight_map }));
    const [read, expected] = [
      await readWeights(await openWeights(dir)),
      await readWeights(await openWeights(TINY)),
    ];
    assert.deepEqual(new Map([...read].sort()), new Map([...expected].sort()));
    await Deno.writeTextFile(index, JSON.stringify({ weight_map: { a: "../other.safetensors" } }));
    await assert.rejects(openWeights(dir), { code: "E_WEIGHTS", message: /no file beside it$/ });
  }));

const REFUSED: Record<string, { config: Record<string, unknown>; why: RegExp }> = {
  "of another type": { config: { model_type: "llama" }, why: /"model_type" is wrong/ },
  "with another activation": { config: { activation_function: "relu" }, why: /gelu_new.*: it is relu$/ },
  "with a narrower MLP": { config: { n_inner: 96 }, why: /n_inner must be 4 · n_embd = 192: it is 96$/ },
  "with another epsilon": { config: { layer_norm_epsilon: 1e-6 }, why: /must be 1e-5: it is 0.000001$/ },
  "without scaled scores": { config: { scale_attn_weights: false }, why: /scale_attn_weights must be true/ },
  "scaled by layer": { config: { scale_attn_by_inverse_layer_idx: true }, why: /must be false: it is true$/ },
  "with an untied head": { config: { tie_word_embeddings: false }, why: /tie_word_embeddings must be true/ },
};

for (const [title, { config, why }] of Object.entries(REFUSED)) {
  Deno.test(`openWeights() refuses a GPT-2 ${title}`, () =>
    inTempDir(async (dir) => {
      await assert.rejects(openWeights(await changed(dir, { config })), { code: "E_WEIGHTS", message: why });
    }));
}

Deno.test("openWeights() takes a file or a folder with model.safetensors, and refuses anything else", () =>
  inTempDir(async (dir) => {
    const refusal = {
      code: "E_WEIGHTS",
      message: /^Cannot load weights from .*: it must be a safetensors file, /,
    };
    await assert.rejects(openWeights(dir), refusal);
    await assert.rejects(openWeights(join(dir, "missing")), refusal);
    const file = join(dir, "model.safetensors");
    await writeTensors(file, []);
    for (const path of [file, dir]) {
      assert.deepEqual(await openWeights(path), {
        path,
        files: [file],
        model: null,
        folder: null,
        data_dir: null,
      });
    }
    await Deno.writeTextFile(join(dir, "config.json"), '{"n_layer":2,"n_head":2}');
    await assert.rejects(openWeights(dir), { code: "E_WEIGHTS", message: /it lacks n_embd$/ });
  }));
