import assert from "node:assert/strict";
import fc from "fast-check";
import { parseSweep, type Sweep } from "../../../coordinator/sweep/sweep_file.ts";
import { runsOf } from "../../../coordinator/sweep/sweep_runs.ts";

function parse(text: string): Sweep {
  return parseSweep(text, { source: "experiments/depths.toml" });
}

function variantsOf({ variants }: Sweep): Record<string, unknown> {
  return Object.fromEntries(variants.map(({ name, values }) => [name, Object.fromEntries(values)]));
}

Deno.test("parseSweep() reads a list of variants, each above what holds for all", () => {
  const sweep = parse(`
preset = "kv-retrieval"
seeds = [1, 2]
baseline = "nanogpt"
match = "parameters"
budget = "1h30m"
tasks = ["own", "induction"]
[config]
max_iters = 100
reflex = { depth = 1 }
[[variant]]
name = "nanogpt"
config = { model = "nanogpt-6l" }
[[variant]]
name = "linear"
[variant.config]
max_iters = 90
reflex.combine = "linear"
`);
  const { variants: _, ...rest } = sweep;
  assert.deepEqual(rest, {
    name: "depths",
    preset: "kv-retrieval",
    from: null,
    seeds: [1, 2],
    baseline: "nanogpt",
    match: "parameters",
    matchTolerance: 0.05,
    budgetMs: 5_400_000,
    tasks: ["own", "induction"],
  });
  assert.deepEqual(variantsOf(sweep), {
    nanogpt: { max_iters: 100, "reflex.depth": 1, model: "nanogpt-6l" },
    linear: { max_iters: 90, "reflex.depth": 1, "reflex.combine": "linear" },
  });
});

Deno.test("parseSweep() finds the sweep to start from beside the file", () => {
  assert.equal(parse(`preset = "sort-demo"\nfrom = "base.toml"`).from, "experiments/base.toml");
});

Deno.test("parseSweep() names a grid's variants by what they set, and multiplies a list with it", () => {
  const grid = `[grid]\n"reflex.heads" = [[2, 2, 2], [4, 1, 1]]\nbias = [true]\n`;
  assert.deepEqual(variantsOf(parse(`preset = "sort-demo"\n${grid}`)), {
    "reflex.heads=2-2-2_bias=true": { "reflex.heads": [2, 2, 2], bias: true },
    "reflex.heads=4-1-1_bias=true": { "reflex.heads": [4, 1, 1], bias: true },
  });
  const both = parse(`preset = "sort-demo"\n[[variant]]\nname = "a"\n[[variant]]\nname = "b"\n${grid}`);
  assert.deepEqual(both.variants.map(({ name }) => name), [
    "a_reflex.heads=2-2-2_bias=true",
    "a_reflex.heads=4-1-1_bias=true",
    "b_reflex.heads=2-2-2_bias=true",
    "b_reflex.heads=4-1-1_bias=true",
  ]);
  assert.deepEqual(variantsOf(parse(`preset = "sort-demo"`)), { default: {} });
});

Deno.test("parseSweep() reads the files of docs/sweeps.md", async () => {
  const docs = await Deno.readTextFile(new URL("../../../docs/sweeps.md", import.meta.url));
  const [list, grid] = [...docs.matchAll(/```toml\n(.*?)```/gs)].map(([, text]) => parse(text));
  assert.deepEqual(Object.keys(variantsOf(list)), ["nanogpt", "linear"]);
  assert.equal(grid.variants.length, 4);
});

Deno.test("runsOf() has each variant with each seed once, whatever the grid, all variants of a seed together", () => {
  const values = fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 });
  const keys = fc.uniqueArray(fc.constantFrom("n_layer", "n_head", "batch_size", "warmup_iters"), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(keys, fc.array(values, { minLength: 4, maxLength: 4 }), values, (keys, lists, seeds) => {
      const grid = keys.map((key, i) => `${key} = [${lists[i]}]`);
      const sweep = parse([`preset = "sort-demo"`, `seeds = [${seeds}]`, "[grid]", ...grid].join("\n"));
      const runs = runsOf(sweep, { results: "results" });
      const points = keys.reduce((product, _, i) => product * lists[i].length, 1);
      assert.equal(runs.length, points * seeds.length);
      assert.equal(new Set(runs.map(({ name }) => name)).size, runs.length);
      assert.deepEqual(runs.map(({ seed }) => seed), seeds.flatMap((seed) => Array(points).fill(seed)));
      for (const { variant: { values } } of runs) assert.deepEqual([...values.keys()], keys);
    }),
    { numRuns: 50 },
  );
});

Deno.test("runsOf() puts runs below out, and results where it is told", () => {
  const [run] = runsOf(parse(`preset = "sort-demo"\nseeds = [7]`), { results: "experiments/depths" });
  assert.equal(run.name, "default-s7");
  assert.equal(run.folder, "out/depths/default-s7");
  assert.equal(run.result, "experiments/depths/default-s7.json");
});

const refusals: [string, string, RegExp][] = [
  ["no preset", "", /its preset is wrong/],
  ["an unknown key", 'preset = "a"\nseed = [1]', /it has no seed: the nearest known is seeds/],
  ["an unknown key of the configuration", 'preset = "a"\n[config]\nn_layers = 2', /Cannot set n_layers/],
  ["an unknown key of the grid", 'preset = "a"\n[grid]\nreflex.dept = [2]', /Cannot set reflex.dept/],
  ["a seed twice", 'preset = "a"\nseeds = [1, 1]', /a seed stands in seeds more than once/],
  ["seeds as a key", 'preset = "a"\n[config]\nseed = 1', /seed is the sweep's to set: list them as seeds/],
  ["a folder", 'preset = "a"\n[config]\nout_dir = "x"', /out_dir is the sweep's to set/],
  [
    "weights besides from",
    'preset = "a"\nfrom = "b.toml"\n[config]\ninit_from = "gpt2"',
    /leave out init_from/,
  ],
  ["a baseline that is none", 'preset = "a"\nbaseline = "b"', /the baseline b is no variant: .* default/],
  ["two variants of one name", 'preset = "a"\n[[variant]]\nname = "b"\n[[variant]]\nname = "b"', /named b/],
  ["a name that is none", 'preset = "a"\n[[variant]]\nname = "../b"', /"..\/b" is no name of a variant/],
  ["a grid without a list", 'preset = "a"\n[grid]\nn_layer = 2', /the grid's n_layer must be a list/],
  ["a grid with an empty list", 'preset = "a"\n[grid]\nn_layer = []', /the grid's n_layer must be a list/],
  ["a budget that is no time", 'preset = "a"\nbudget = "soon"', /its budget is wrong/],
  ["no TOML", "preset =", /must be TOML/],
];

for (const [what, text, message] of refusals) {
  Deno.test(`parseSweep() refuses ${what}`, () => {
    assert.throws(() => parse(text), { code: "E_CONFIG", message });
  });
}
