import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { readHeader } from "../../../shared/checkpoint/safetensors.ts";
import type { ModelConfig } from "../../../shared/config/model_config.ts";
import { headGroups, parameters } from "../../../worker/model/gpt.ts";
import { fixtureDirectories } from "../../fixtures.ts";
import { tinyConfig } from "../tiny_model.ts";

/** The source of each head of a block: how many blocks back, or m for the mixture. */
function sources(config: ModelConfig, layer: number): string {
  const heads = headGroups(config, layer).flatMap(({ first, count, back }) =>
    Array.from({ length: count }, (_, i) => [first + i, back === "mixture" ? "m" : `${back}`] as const)
  );
  assert.deepEqual(heads.map(([head]) => head), Array.from({ length: config.n_head }, (_, head) => head));
  return heads.map(([, back]) => back).join("");
}

type Reflex = NonNullable<ModelConfig["reflex"]>;

const reflex = (changes: Partial<Reflex>, n_head = 6): ModelConfig =>
  tinyConfig({
    n_layer: 6,
    n_head,
    n_embd: n_head,
    attention: "reflex",
    reflex: {
      heads: [2, 2, 2],
      depth: 2,
      source: "hidden",
      combine: "concat",
      top_k: null,
      layers: "all",
      ...changes,
    },
  });

/** For each block, the sources of its heads, as the fixtures' README defines them. */
const GROUPS: Record<string, { config: ModelConfig; blocks: string[] }> = {
  "plain attention": { config: tinyConfig({ n_layer: 2 }), blocks: ["000", "000"] },
  "the split 2, 2, 2": { config: reflex({}), blocks: ["000000", "001100", "001122", "001122"] },
  "the split 5, 2, 1": {
    config: reflex({ heads: [5, 2, 1] }, 8),
    blocks: ["00000000", "00000110", "00000112"],
  },
  "a depth of 1": { config: reflex({ depth: 1 }), blocks: ["000000", "001100", "001100"] },
  "no own heads": { config: reflex({ heads: [0, 3, 3] }), blocks: ["000000", "111000", "111222"] },
  "the depth all": {
    config: reflex({ heads: null, depth: "all" }, 4),
    blocks: ["0000", "0001", "0012", "0123", "0123", "0123"],
  },
  "chosen layers": { config: reflex({ layers: [2] }), blocks: ["000000", "000000", "001122", "000000"] },
  "a linear mixture": { config: reflex({ combine: "linear" }), blocks: ["000000", "00mmmm", "00mmmm"] },
  "the best of a mixture": {
    config: reflex({ combine: "top_k", top_k: 1, heads: [4, 1, 1] }),
    blocks: ["000000", "0000mm", "0000mm"],
  },
};

for (const [title, { config, blocks }] of Object.entries(GROUPS)) {
  Deno.test(`headGroups() gives each head its source: ${title}`, () => {
    assert.deepEqual(blocks.map((_, layer) => sources(config, layer)), blocks);
  });
}

for (const directory of fixtureDirectories()) {
  Deno.test(`parameters() has the names and shapes of the reference: ${basename(directory)}`, async () => {
    const config = {
      activation: "gelu",
      ...JSON.parse(await Deno.readTextFile(join(directory, "config.json"))),
    };
    const { tensors } = await readHeader(join(directory, "weights.safetensors"));
    const sorted = (list: { name: string; shape: readonly number[] }[]) =>
      list.map(({ name, shape }) => `${name} [${shape}]`).sort();
    assert.deepEqual(sorted(parameters(config)), sorted(tensors));
  });
}

Deno.test("parameters() stand in nanoGPT's order, each block's together", () => {
  assert.deepEqual(parameters(tinyConfig({ n_layer: 1, bias: true })).map(({ name }) => name), [
    "transformer.wte.weight",
    "transformer.wpe.weight",
    "transformer.h.0.ln_1.weight",
    "transformer.h.0.ln_1.bias",
    "transformer.h.0.attn.c_attn.weight",
    "transformer.h.0.attn.c_attn.bias",
    "transformer.h.0.attn.c_proj.weight",
    "transformer.h.0.attn.c_proj.bias",
    "transformer.h.0.ln_2.weight",
    "transformer.h.0.ln_2.bias",
    "transformer.h.0.mlp.c_fc.weight",
    "transformer.h.0.mlp.c_fc.bias",
    "transformer.h.0.mlp.c_proj.weight",
    "transformer.h.0.mlp.c_proj.bias",
    "transformer.ln_f.weight",
    "transformer.ln_f.bias",
  ]);
});
