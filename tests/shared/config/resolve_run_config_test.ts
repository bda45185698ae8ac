import assert from "node:assert/strict";
import { join } from "node:path";
import { LockstepError } from "../../../shared/errors.ts";
import { presetNames } from "../../../shared/config/presets.ts";
import { resolveRunConfig } from "../../../shared/config/resolve_run_config.ts";
import { toToml } from "../../../shared/config/toml.ts";

const resolve = (line: string) => resolveRunConfig(line.split(" ").filter((word) => word !== ""));

async function withFiles(
  files: Record<string, string>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("resolveRunConfig() takes sort-demo if nothing is named", async () => {
  const { config, preset, given, notes } = await resolve("");
  assert.equal(preset, "sort-demo");
  assert.deepEqual([...given], []);
  assert.deepEqual(notes, []);
  assert.equal(config.attention, "reflex");
  assert.deepEqual(config.reflex.heads, [2, 2, 2]);
  assert.equal(config.batch_size * config.gradient_accumulation_steps, 32);
});

for (const task of presetNames("task")) {
  for (const model of presetNames("model")) {
    Deno.test(`resolveRunConfig() composes ${task} with ${model}`, async () => {
      const own = (await resolve(`${task} --data=x --task_data=x`)).config;
      const { config, given } = await resolve(`${task} --data=x --task_data=x --model=${model}`);
      assert.deepEqual([...given], ["data", "task_data", "model"]);
      assert.equal(config.n_layer, model.includes("8l") ? 8 : 6);
      assert.equal(config.attention, model.startsWith("reflex") ? "reflex" : "causal");
      assert.equal(config.block_size, own.block_size);
      assert.equal(config.max_iters, own.max_iters);
      assert.equal(config.model, null);
    });
  }
}

Deno.test("resolveRunConfig() gives shakespeare-char the recipe of nanoGPT's README, 12 sequences a step", async () => {
  const { config } = await resolve("shakespeare-char --data=x.txt");
  const { n_layer, n_head, n_embd, block_size, beta2, max_iters, batch_size } = config;
  assert.deepEqual([n_layer, n_head, n_embd, block_size, beta2, max_iters], [4, 4, 128, 64, 0.99, 2000]);
  assert.equal(batch_size * config.gradient_accumulation_steps, 12);
});

Deno.test("resolveRunConfig() lets win what stands later", async () => {
  const later = await resolve("sort-100 --model=reflex-8l8h --n_embd=64");
  assert.equal(later.config.n_embd, 64);
  assert.deepEqual([...later.given], ["model", "n_embd"]);
  const earlier = await resolve("sort-100 --n_embd=64 --model=reflex-8l8h");
  assert.equal(earlier.config.n_embd, 96);
  assert.deepEqual([...earlier.given], ["model"]);
  assert.deepEqual(earlier.notes, ["--model=reflex-8l8h replaces n_embd, set before it"]);
});

Deno.test("resolveRunConfig() takes a module of the user's as the model", async () => {
  const { config } = await resolve("sort-demo --model=./my_model.ts");
  assert.equal(config.model, "./my_model.ts");
  assert.equal((await resolve("sort-demo --model=./my_model.ts --model=none")).config.model, null);
});

Deno.test("resolveRunConfig() reads a TOML file, its model preset below its own keys", async () => {
  await withFiles(
    { "my run.toml": 'model = "reflex-8l8h"\nn_embd = 64\ncompile = true\n' },
    async (folder) => {
      const { config, preset, given, notes } = await resolveRunConfig([
        join(folder, "my run.toml"),
        "--seed=3",
      ]);
      assert.equal(preset, "my-run");
      assert.deepEqual([config.n_layer, config.n_embd, config.seed], [8, 64, 3]);
      assert.deepEqual([...given], ["seed"]);
      assert.match(notes[0], /^compile .* is ignored/);
    },
  );
});

Deno.test("resolveRunConfig() gives back a run's own config.toml", async () => {
  const { config } = await resolve("sort-100 --model=reflex-8l8h --seed=5");
  await withFiles({ "config.toml": toToml(config) }, async (folder) => {
    assert.deepEqual((await resolveRunConfig([join(folder, "config.toml")])).config, config);
  });
});

Deno.test("resolveRunConfig() takes a model preset of the user's from a file", async () => {
  await withFiles({ "wide.toml": "n_layer = 2\nn_head = 4\nn_embd = 128\n" }, async (folder) => {
    const { config } = await resolveRunConfig(["moby-dick", `--model=${join(folder, "wide.toml")}`]);
    assert.deepEqual([config.n_layer, config.n_head, config.n_embd], [2, 4, 128]);
  });
});

Deno.test("resolveRunConfig() names the file in which a value is wrong", async () => {
  await withFiles({ "bad.toml": 'n_layer = "six"' }, async (folder) => {
    const file = join(folder, "bad.toml");
    const message =
      `Cannot set n_layer (${file}) as it must be a whole number of at least 1: "six" was given`;
    await assert.rejects(resolveRunConfig([file]), new LockstepError("E_CONFIG", message));
  });
});

const refusals: [string, string, "E_PRESET" | "E_CONFIG" | "E_USAGE" | "E_MODEL", string][] = [
  [
    "an unknown preset",
    "sort-dmo",
    "E_PRESET",
    "Cannot load the task preset sort-dmo as there are sort-demo, sort-100, kv-retrieval, shakespeare-char, moby-dick, arc-easy, " +
    "babi, cola, sst2: " +
    "the nearest known is sort-demo",
  ],
  [
    "an unknown model",
    "sort-demo --model=reflex-6l",
    "E_PRESET",
    "Cannot load the model preset reflex-6l as there are nanogpt-6l, reflex-6l6h, reflex-8l8h: " +
    "the nearest known is reflex-6l6h",
  ],
  [
    "a model in a task's place",
    "reflex-6l6h",
    "E_PRESET",
    "Cannot load the task preset reflex-6l6h as it is a model: write TASK --model=reflex-6l6h",
  ],
  [
    "a file that there is not",
    "none/such.toml",
    "E_PRESET",
    "Cannot load the task preset none/such.toml as it must be a file to read: no such file",
  ],
  [
    "nanoGPT's own configuration file",
    "config/train_shakespeare_char.py",
    "E_PRESET",
    "Cannot load config/train_shakespeare_char.py as nanoGPT's configuration files are programs, which are not run: " +
    "write its keys as TOML",
  ],
  [
    "two presets",
    "sort-demo sort-100",
    "E_USAGE",
    "Cannot take sort-100 as one preset or file must stand alone: sort-demo is given",
  ],
  [
    "a text preset without its text",
    "shakespeare-char",
    "E_CONFIG",
    "Cannot use shakespeare-char as it needs data or data_dir: add --data=…",
  ],
  [
    "keys that do not fit each other, with all the words that made them",
    "sort-demo --n-head 5",
    "E_MODEL",
    "Cannot use the configuration (sort-demo --n-head 5) as n_embd must be divisible by n_head: n_embd is 96, n_head is 5",
  ],
];

for (const [what, line, code, message] of refusals) {
  Deno.test(`resolveRunConfig() refuses ${what}`, async () => {
    await assert.rejects(resolve(line), new LockstepError(code, message));
  });
}

Deno.test("resolveRunConfig() asks no text of a run that is resumed", async () => {
  assert.equal((await resolve("shakespeare-char --init_from=resume")).config.init_from, "resume");
});
