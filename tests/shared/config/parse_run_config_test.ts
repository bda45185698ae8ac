import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";
import { configKeys } from "../../../shared/config/run_config.ts";

const source = "test.toml";
const reflex = { attention: "reflex", reflex: { heads: [2, 2, 2] } };

Deno.test("parseRunConfig() fills in every default", () => {
  const config = parseRunConfig({}, { source });
  assert.equal(config.n_layer, 6);
  assert.equal(config.lr_decay_iters, null);
  assert.deepEqual(config.sort, { length: 16, values: 16 });
  assert.deepEqual(config.reflex, {
    heads: null,
    depth: 2,
    source: "hidden",
    combine: "concat",
    top_k: null,
    layers: "all",
  });
});

Deno.test("parseRunConfig() keeps the rest of a table of which one key is given", () => {
  const config = parseRunConfig({ sort: { length: 10 } }, { source });
  assert.deepEqual(config.sort, { length: 10, values: 16 });
});

Deno.test("parseRunConfig() gives the same configuration for what it gave", () => {
  const config = parseRunConfig(reflex, { source });
  assert.deepEqual(parseRunConfig(JSON.parse(JSON.stringify(config)), { source }), config);
});

const badValues: [string, unknown, string][] = [
  [
    "misspelled key",
    { n_layr: 3 },
    "Cannot set n_layr (test.toml) as no key has this name: the nearest known is n_layer",
  ],
  [
    "misspelled key of a table",
    { reflex: { hads: [1] } },
    "Cannot set reflex.hads (test.toml) as no key has this name: the nearest known is reflex.heads",
  ],
  [
    "number where a table is due",
    { sort: 3 },
    "Cannot set sort (test.toml) as it is a table: set one of sort.length, sort.values",
  ],
  [
    "text where a number is due",
    { n_layer: "6" },
    'Cannot set n_layer (test.toml) as it must be a whole number of at least 1: "6" was given',
  ],
  [
    "number below its range",
    { seed: -1 },
    "Cannot set seed (test.toml) as it must be a whole number from 0 to 4294967295: -1 was given",
  ],
  [
    "dropout of 1",
    { dropout: 1 },
    "Cannot set dropout (test.toml) as it must be a number from 0 up to, but not including, 1: 1 was given",
  ],
  [
    "word that is no choice",
    { attention: "flash" },
    'Cannot set attention (test.toml) as it must be causal, reflex or router: "flash" was given',
  ],
  [
    "list of two heads",
    { reflex: { heads: [3, 3] } },
    "Cannot set reflex.heads (test.toml) as it must be three whole numbers of at least 0, such as [4,2,2], or none: " +
    "[3,3] was given",
  ],
  ["list", [1], "Cannot read test.toml as it must hold a table of keys: it holds [1]"],
];

for (const [what, values, message] of badValues) {
  Deno.test(`parseRunConfig() refuses a ${what}`, () => {
    assert.throws(() => parseRunConfig(values, { source }), new LockstepError("E_CONFIG", message));
  });
}

const brokenRules: [string, Record<string, unknown>, "E_MODEL" | "E_CONFIG", string][] = [
  [
    "n_embd that n_head does not divide",
    { n_embd: 100, n_head: 6 },
    "E_MODEL",
    "n_embd must be divisible by n_head: n_embd is 100, n_head is 6",
  ],
  [
    "heads that do not add up",
    { attention: "reflex", reflex: { heads: [4, 2, 2] } },
    "E_MODEL",
    "reflex.heads must sum to n_head = 6: [4,2,2] sums to 8",
  ],
  [
    "missing heads",
    { attention: "reflex" },
    "E_MODEL",
    "reflex.heads must be three numbers that sum to n_head = 6: it is not set",
  ],
  [
    "missing heads of one learned sum",
    { attention: "reflex", reflex: { depth: "all", combine: "linear" } },
    "E_MODEL",
    "reflex.heads must be three numbers that sum to n_head = 6: it is not set",
  ],
  [
    "depth beyond n_layer",
    { ...reflex, n_layer: 3, reflex: { heads: [2, 2, 2], depth: 4 } },
    "E_MODEL",
    "reflex.depth must be from 1 to n_layer, or all: it is 4, n_layer is 3",
  ],
  [
    "block that there is not",
    { attention: "reflex", reflex: { heads: [2, 2, 2], layers: [1, 6] } },
    "E_MODEL",
    "reflex.layers must name blocks from 0 to 5: it is [1,6]",
  ],
  [
    "kv source of one learned sum",
    { attention: "reflex", reflex: { heads: [2, 2, 2], combine: "linear", source: "kv" } },
    "E_MODEL",
    "reflex.source must be hidden with reflex.combine = linear: it is kv",
  ],
  [
    "missing top_k",
    { attention: "reflex", reflex: { heads: [2, 2, 2], combine: "top_k", depth: "all" } },
    "E_MODEL",
    "reflex.top_k must be from 1 to 5, the most earlier layers that a block sees: it is not set",
  ],
  [
    "top_k above depth",
    { attention: "reflex", reflex: { heads: [2, 2, 2], combine: "top_k", depth: 3, top_k: 4 } },
    "E_MODEL",
    "reflex.top_k must be from 1 to 3, the most earlier layers that a block sees: it is 4",
  ],
  [
    "top_k above what the chosen blocks see",
    {
      attention: "reflex",
      reflex: { heads: [2, 2, 2], combine: "top_k", depth: 3, top_k: 2, layers: [0, 1] },
    },
    "E_MODEL",
    "reflex.top_k must be from 1 to 1, the most earlier layers that a block sees: it is 2",
  ],
  [
    "top_k of a block that sees nothing",
    { attention: "reflex", reflex: { heads: [2, 2, 2], combine: "top_k", top_k: 1, layers: [0] } },
    "E_MODEL",
    "reflex.combine = top_k needs a block with an earlier layer: no block has one",
  ],
  [
    "block_size too short to sort in",
    { sort: { length: 40 } },
    "E_CONFIG",
    "block_size must be at least 2 · sort.length = 80: it is 64",
  ],
  [
    "vocab_size without the separator",
    { vocab_size: 16 },
    "E_CONFIG",
    "vocab_size must be 0 or at least sort.values + 1 = 17: it is 16",
  ],
  [
    "min_lr above learning_rate",
    { learning_rate: 1e-4, min_lr: 1e-3 },
    "E_CONFIG",
    "min_lr must be at most learning_rate: min_lr is 0.001, learning_rate is 0.0001",
  ],
  [
    "nnodes with MIN above MAX",
    { nnodes: "4:2" },
    "E_CONFIG",
    "nnodes must be MIN:MAX with MIN at most MAX: it is 4:2",
  ],
  [
    "run both verbose and quiet",
    { verbose: true, quiet: true },
    "E_CONFIG",
    "verbose and quiet exclude each other: both are true",
  ],
];

for (const [what, values, code, broken] of brokenRules) {
  Deno.test(`parseRunConfig() refuses a ${what}`, () => {
    const message = `Cannot use the configuration (test.toml) as ${broken}`;
    assert.throws(() => parseRunConfig(values, { source }), new LockstepError(code, message));
  });
}

Deno.test("parseRunConfig() asks nothing of reflex.* where attention is not reflex", () => {
  const table = { heads: [1, 1, 1], depth: 99, combine: "top_k", source: "kv", layers: [99] };
  assert.equal(parseRunConfig({ attention: "causal", reflex: table }, { source }).attention, "causal");
});

Deno.test("parseRunConfig() leaves the numbers of a user's own model to that model", () => {
  assert.equal(parseRunConfig({ model: "./my_model.ts", n_embd: 100, n_head: 6 }, { source }).n_embd, 100);
});

Deno.test("parseRunConfig() takes exactly the reflex.top_k from 1 to min(depth, n_layer - 1)", () => {
  const positive = fc.integer({ min: 1, max: 12 });
  fc.assert(fc.property(positive, positive, positive, (n_layer, depth, top_k) => {
    fc.pre(depth <= n_layer);
    const table = { heads: [2, 2, 2], combine: "top_k", depth, top_k };
    const parse = () => parseRunConfig({ n_layer, attention: "reflex", reflex: table }, { source });
    if (top_k <= Math.min(depth, n_layer - 1)) assert.equal(parse().reflex.top_k, top_k);
    else assert.throws(parse, { code: "E_MODEL" });
  }));
});

Deno.test("parseRunConfig() never throws anything but a LockstepError", () => {
  const names = fc.oneof(fc.constantFrom(...configKeys.keys(), "reflex", "sort", "__proto__"), fc.string());
  fc.assert(fc.property(fc.dictionary(names, fc.jsonValue()), (values) => {
    try {
      parseRunConfig(values, { source });
    } catch (error) {
      assert(error instanceof LockstepError, String(error));
      assert.match(error.message, /[^.]$/);
    }
  }));
});

Deno.test("configKeys has a default that its own schema accepts for every key, and launch keys decide no bits", () => {
  for (const { name, schema, default: value, numerics, section, accepts } of configKeys.values()) {
    assert(schema.safeParse(value).success, name);
    assert.notEqual(accepts, "valid", name);
    if (section === "launch") assert(!numerics, name);
  }
});
