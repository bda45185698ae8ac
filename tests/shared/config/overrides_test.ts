import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { readOverrides } from "../../../shared/config/overrides.ts";
import { foreignNames } from "../../../shared/config/foreign_names.ts";
import { configKeys } from "../../../shared/config/run_config.ts";

const valuesOf = (line: string) =>
  Object.fromEntries(readOverrides(line.split(" ")).overrides.map(({ name, value }) => [name, value]));

Deno.test("readOverrides() reads --key=value, --key value, dashes and underscores alike", () => {
  assert.deepEqual(valuesOf("--n_layer=3 --n-head 4 --nproc-per-node=2 --reflex.top-k=1"), {
    n_layer: 3,
    n_head: 4,
    nproc_per_node: 2,
    "reflex.top_k": 1,
  });
});

Deno.test("readOverrides() reads numbers, lists, truths and none as their key means them", () => {
  assert.deepEqual(valuesOf("--learning_rate=1e-3 --max_iters=10_000 --weight_decay=.5"), {
    learning_rate: 1e-3,
    max_iters: 10_000,
    weight_decay: 0.5,
  });
  assert.deepEqual(valuesOf("--reflex.heads=[4,2,2] --reflex.layers=2"), {
    "reflex.heads": [4, 2, 2],
    "reflex.layers": [2],
  });
  assert.deepEqual(valuesOf("--reflex.heads=4,2,2 --reflex.depth=all --reflex.layers=all"), {
    "reflex.heads": [4, 2, 2],
    "reflex.depth": "all",
    "reflex.layers": "all",
  });
  assert.deepEqual(valuesOf("--lr_decay_iters=none --rdzv_id=7 --nnodes=2 --nproc_per_node=gpu"), {
    lr_decay_iters: null,
    rdzv_id: "7",
    nnodes: "2",
    nproc_per_node: "gpu",
  });
});

Deno.test("readOverrides() reads truths as words and as bare flags", () => {
  for (const line of ["--bias", "--bias=True", "--bias true", "--bias=1", "--bias --seed=1"]) {
    assert.equal(valuesOf(line).bias, true, line);
  }
  for (const line of ["--no-bias", "--no_bias", "--bias=False", "--bias false", "--bias 0"]) {
    assert.equal(valuesOf(line).bias, false, line);
  }
});

Deno.test("readOverrides() does not take the word after a flag for its value", () => {
  const { positionals, overrides } = readOverrides(["--eval_only", "sort-demo"]);
  assert.deepEqual(positionals, ["sort-demo"]);
  assert.deepEqual(overrides.map(({ value }) => value), [true]);
});

Deno.test("readOverrides() keeps the order, and repeats", () => {
  const { overrides } = readOverrides(["--seed=1", "--seed=2"]);
  assert.deepEqual(overrides.map(({ words, value }) => [words, value]), [["--seed=1", 1], ["--seed=2", 2]]);
});

const refusals: [string, string, string][] = [
  [
    "an unknown key",
    "--n_layr=3",
    "Cannot set n_layr (--n_layr=3) as no key has this name: the nearest known is n_layer",
  ],
  [
    "a value that its key does not accept",
    "--n_layer=many",
    'Cannot set n_layer (command line) as it must be a whole number of at least 1: "many" was given',
  ],
  [
    "a key without its value",
    "--seed --bias",
    "Cannot read --seed as a value must follow: write --seed=value",
  ],
  [
    "a key without its value at the end",
    "--seed",
    "Cannot read --seed as a value must follow: write --seed=value",
  ],
  ["a short option", "-n", "Cannot read -n as an option must be written --key=value"],
  [
    "torchrun's --no-python",
    "--no-python",
    "Cannot take no_python (torchrun): workers run no script; a model of your own is --model=./my_model.ts",
  ],
];

for (const [what, line, message] of refusals) {
  Deno.test(`readOverrides() refuses ${what}`, () => {
    assert.throws(() => readOverrides(line.split(" ")), new LockstepError("E_CONFIG", message));
  });
}

Deno.test("readOverrides() names the nearest of the command's own options too", () => {
  assert.throws(() => readOverrides(["--dry-rnu"], ["dry_run"]), /the nearest known is dry_run$/);
});

Deno.test("readOverrides() makes notes of names of nanoGPT and torchrun, in any spelling", () => {
  for (const words of [["--compile=False"], ["--compile"], ["--no-compile"], ["--compile", "False"]]) {
    const { notes, overrides, positionals } = readOverrides(words);
    assert.deepEqual(notes, [
      "compile (nanoGPT's train.py) is ignored: every step is compiled, see --engine",
    ]);
    assert.deepEqual([overrides, positionals], [[], []]);
  }
  assert.equal(readOverrides(["--rdzv-backend", "c10d", "--wandb_project=x"]).notes.length, 2);
});

Deno.test("foreignNames has no name that is a key", () => {
  for (const name of foreignNames.keys()) assert(!configKeys.has(name), name);
});

Deno.test("readOverrides() never throws anything but a LockstepError", () => {
  const names = fc.constantFrom(...configKeys.keys(), ...foreignNames.keys());
  const word = fc.oneof(
    fc.string(),
    fc.tuple(names, fc.string()).map(([name, value]) => `--${name}=${value}`),
  );
  fc.assert(fc.property(fc.array(word), (words) => {
    try {
      readOverrides(words);
    } catch (error) {
      assert(error instanceof LockstepError, String(error));
    }
  }));
});
