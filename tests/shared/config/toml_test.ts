import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";
import { readToml, toToml } from "../../../shared/config/toml.ts";
import { configKeys } from "../../../shared/config/run_config.ts";

const source = "config.toml";

/** Configurations with keys of every kind changed at random. */
const configs = fc.record({
  data: fc.option(fc.string({ minLength: 1, unit: "binary" })),
  text_field: fc.string({ minLength: 1 }),
  n_layer: fc.integer({ min: 6, max: 1e9 }),
  dropout: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  eps: fc.double({ min: 0, minExcluded: true, max: 1e300, noNaN: true }),
  bias: fc.boolean(),
  lr_decay_iters: fc.option(fc.integer({ min: 1 })),
  nproc_per_node: fc.oneof(fc.constantFrom("auto", "cpu"), fc.integer({ min: 1 })),
  nnodes: fc.constantFrom("1", "2:4"),
  attention: fc.constantFrom("causal", "reflex"),
  reflex: fc.record({
    heads: fc.constantFrom([2, 2, 2], [0, 0, 6]),
    depth: fc.constantFrom("all", 1, 5),
    layers: fc.oneof(fc.constant("all"), fc.array(fc.nat(5), { minLength: 1 })),
  }),
}).map((values) => parseRunConfig(values, { source }));

Deno.test("readToml() gives back any configuration that toToml() wrote", () => {
  fc.assert(fc.property(configs, (config) => {
    assert.deepEqual(parseRunConfig(readToml(toToml(config), { source }), { source }), config);
  }));
});

Deno.test("toToml() names every key, those without a value too", () => {
  const text = toToml(parseRunConfig({}, { source }));
  for (const name of configKeys.keys()) {
    assert.match(text, new RegExp(`^(# )?${name.split(".").pop()} (=|is not set)`, "m"));
  }
});

Deno.test("readToml() refuses what is no TOML with its place", () => {
  const message = "Cannot read config.toml as it must be TOML: invalid value (line 2, column 5)";
  assert.throws(() => readToml("a = 1\nb = \n", { source }), new LockstepError("E_CONFIG", message));
});
