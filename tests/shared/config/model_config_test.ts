import assert from "node:assert/strict";
import { modelConfig } from "../../../shared/config/model_config.ts";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";

const modelOf = (values: Record<string, unknown>) => modelConfig(parseRunConfig(values, { source: "test" }));

Deno.test("modelConfig() has nanoGPT's numbers and no reflex table without Reflex attention", () => {
  assert.deepEqual(modelOf({ vocab_size: 65, reflex: { heads: [2, 2, 2] } }), {
    n_layer: 6,
    n_head: 6,
    n_embd: 96,
    block_size: 64,
    vocab_size: 65,
    bias: false,
    dropout: 0,
    activation: "gelu",
    attention: "causal",
    reflex: null,
  });
});

Deno.test("modelConfig() leaves out heads and top_k where they decide nothing", () => {
  const table = { heads: [2, 2, 2], depth: "all", top_k: 3 };
  assert.deepEqual(modelOf({ attention: "reflex", reflex: table }).reflex, {
    heads: null,
    depth: "all",
    source: "hidden",
    combine: "concat",
    top_k: null,
    layers: "all",
  });
});

Deno.test("modelConfig() keeps heads and top_k where they count", () => {
  const table = { heads: [2, 2, 2], depth: "all", combine: "top_k", top_k: 3 };
  const { reflex } = modelOf({ attention: "reflex", reflex: table });
  assert.deepEqual(reflex?.heads, [2, 2, 2]);
  assert.equal(reflex?.top_k, 3);
});
