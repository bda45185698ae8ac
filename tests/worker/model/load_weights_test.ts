import assert from "node:assert/strict";
import { join } from "node:path";
import { type NamedTensor, writeTensors } from "../../../shared/checkpoint/safetensors.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { loadWeights } from "../../../worker/model/load_weights.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { fillMixed, tinyConfig, tinyModel } from "../tiny_model.ts";

/** All parameters of the model, as its file holds them. */
function tensorsOf(model: Model): { tensors: NamedTensor[]; flat: Float32Array } {
  const flat = new Float32Array(model.size);
  fillMixed(flat);
  const tensors = model.parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: flat.slice(offset, offset + size),
  }));
  return { tensors, flat };
}

/** Writes `tensors` and loads them into the tiny model. */
function loading(
  change: (tensors: NamedTensor[]) => NamedTensor[],
  work: (load: () => Promise<Float32Array>, expected: Float32Array) => Promise<void>,
): Promise<void> {
  return inTempDir(async (dir) => {
    const model = await tinyModel(tinyConfig({ n_layer: 1 }));
    const { tensors, flat } = tensorsOf(model);
    await writeTensors(join(dir, "model.safetensors"), change(tensors));
    const load = async () => {
      const parameters = new Float32Array(model.size);
      await loadWeights(model, parameters, dir);
      return parameters;
    };
    await work(load, flat);
  });
}

Deno.test("loadWeights() puts each parameter in its place, whatever the order of the file", () =>
  loading((tensors) => tensors.toReversed(), async (load, expected) => {
    assert.deepEqual(await load(), expected);
  }));

const REFUSED: Record<string, { change: (tensors: NamedTensor[]) => NamedTensor[]; sentence: RegExp }> = {
  "lacks a parameter": {
    change: (tensors) => tensors.slice(1),
    sentence: /: it lacks the parameter transformer\.wte\.weight$/,
  },
  "has a parameter more": {
    change: (tensors) => [...tensors, { name: "extra", shape: [1], data: Float32Array.of(1) }],
    sentence: /: the model has no parameter extra$/,
  },
  "has another shape": {
    change: ([first, ...rest]) => [{ ...first, shape: first.shape.toReversed() }, ...rest],
    sentence: /: transformer\.wte\.weight must have the shape \[11,6\], and has \[6,11\]$/,
  },
  "holds integers": {
    change: ([first, ...rest]) => [{ ...first, data: new Int32Array(first.data.length) }, ...rest],
    sentence: /: transformer\.wte\.weight must be of a floating type, and is I32$/,
  },
};

for (const [title, { change, sentence }] of Object.entries(REFUSED)) {
  Deno.test(`loadWeights() refuses a file that ${title}`, () =>
    loading(change, async (load) => {
      await assert.rejects(load(), { code: "E_WEIGHTS", message: sentence });
    }));
}

Deno.test("loadWeights() refuses a pickle by its name, and says what to do", async () => {
  const model = await tinyModel(tinyConfig());
  const read = loadWeights(model, new Float32Array(model.size), "out/ckpt.pt");
  await assert.rejects(read, { code: "E_PICKLE", message: /docs\/from_nanogpt\.py/ });
});
