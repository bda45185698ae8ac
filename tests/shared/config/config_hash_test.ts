import assert from "node:assert/strict";
import { configHash } from "../../../shared/config/config_hash.ts";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";

const hashOf = (values: Record<string, unknown>) => configHash(parseRunConfig(values, { source: "test" }));

Deno.test("configHash() is 64 hex digits and does not depend on the order of keys", () => {
  const hash = hashOf({ n_layer: 2, seed: 7 });
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(hashOf({ seed: 7, n_layer: 2 }), hash);
});

Deno.test("configHash() changes with every key that decides the bits of the weights", () => {
  const changes = [
    {},
    { seed: 1 },
    { n_layer: 2 },
    { threads: 2 },
    { batch_size: 8 },
    { gradient_accumulation_steps: 4 },
    { dropout: 0.1 },
    { sort: { length: 15 } },
    { attention: "router" },
    { activation: "gelu_tanh" },
    { max_iters: 999 },
  ];
  assert.equal(new Set(changes.map(hashOf)).size, changes.length);
});

Deno.test("configHash() keeps still for launch, paths and printing", () => {
  const values = {
    nproc_per_node: 8,
    nnodes: "1:4",
    out_dir: "out/x",
    data: "a.txt",
    log_interval: 3,
    verbose: true,
  };
  assert.equal(hashOf(values), hashOf({}));
});

Deno.test("configHash() lets a run go on beyond max_iters where lr_decay_iters is set", () => {
  assert.equal(hashOf({ max_iters: 2000, lr_decay_iters: 1000 }), hashOf({ max_iters: 1000 }));
});

Deno.test("configHash() does not depend on max_iters with a constant learning rate", () => {
  assert.equal(hashOf({ max_iters: 2000, decay_lr: false }), hashOf({ max_iters: 1000, decay_lr: false }));
});
