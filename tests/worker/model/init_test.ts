import assert from "node:assert/strict";
import { initialize } from "../../../worker/model/init.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { tinyConfig, tinyModel, VARIANTS } from "../tiny_model.ts";

function initialized(model: Model, seed = 1): (name: string) => Float32Array {
  const parameters = new Float32Array(model.size).fill(NaN);
  initialize(model, parameters, seed);
  return (name) => {
    const parameter = model.parameters.find((each) => each.name === name);
    assert.ok(parameter !== undefined, name);
    return parameters.slice(parameter.offset, parameter.offset + parameter.size);
  };
}

const deviation = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

Deno.test("initialize() draws nanoGPT's start: N(0, 0.02), residual projections by 1/√(2 n_layer), gains 1, biases 0", async () => {
  const config = tinyConfig({ n_layer: 8, n_embd: 48, bias: true });
  const values = initialized(await tinyModel(config));
  const near = (name: string, expected: number) => {
    const given = deviation(values(name));
    assert.ok(Math.abs(given / expected - 1) < 0.06, `${name}: ${given}, not ${expected}`);
  };
  near("transformer.h.3.attn.c_attn.weight", 0.02);
  near("transformer.h.3.mlp.c_fc.weight", 0.02);
  near("transformer.h.3.attn.c_proj.weight", 0.02 / 4);
  near("transformer.h.3.mlp.c_proj.weight", 0.02 / 4);
  assert.ok(values("transformer.h.3.ln_1.weight").every((x) => x === 1));
  assert.ok(values("transformer.ln_f.bias").every((x) => x === 0));
  assert.ok(values("transformer.h.3.attn.c_attn.bias").every((x) => x === 0));
});

Deno.test("initialize() starts the router at plain attention and mixtures at 1/k", async () => {
  const router = initialized(await tinyModel(tinyConfig({ n_head: 2, n_embd: 4, attention: "router" })));
  for (const name of ["route_k", "route_v"]) {
    assert.deepEqual([...router(`transformer.h.1.attn.${name}.weight`)], [0, 0, 1, 0, 0, 0, 0, 1]);
  }
  const linear = initialized(await tinyModel(VARIANTS["reflex of a linear mixture"]));
  assert.deepEqual([...linear("transformer.h.2.attn.linear_combination.weight")], [0.5, 0.5]);
  const best = initialized(await tinyModel(VARIANTS["reflex of the top 2"]));
  assert.deepEqual([...best("transformer.h.1.attn.route.weight")], [1]);
});

Deno.test("initialize() is a pure function of the seed and of each parameter's name", async () => {
  const [small, large] = [
    await tinyModel(tinyConfig({ n_layer: 1 })),
    await tinyModel(tinyConfig({ n_layer: 2 })),
  ];
  const shared = "transformer.h.0.attn.c_attn.weight";
  assert.deepEqual(initialized(small)(shared), initialized(large)(shared));
  assert.notDeepEqual(initialized(small, 2)(shared), initialized(small, 1)(shared));
  assert.notDeepEqual(initialized(large)(shared), initialized(large)("transformer.h.1.attn.c_attn.weight"));
});
