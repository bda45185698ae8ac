import assert from "node:assert/strict";
import { join } from "node:path";
import { resolveTrainConfig } from "../../../coordinator/cli/resolve_train_config.ts";
import { modelConfig } from "../../../shared/config/model_config.ts";
import { openWeights, readWeights } from "../../../shared/weights.ts";
import { loadModel } from "../../../worker/model/load_model.ts";
import { Replica } from "../../../worker/replica.ts";
import { hfFixture } from "../../fixtures.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { writeTinyRun } from "../../worker/tiny_run.ts";

const TINY = hfFixture("hf-gpt2-tiny");

const resolved = (...words: string[]) => resolveTrainConfig(words, { environment: {} });

Deno.test("adoptWeights() takes the model of the weights, whatever the preset says, and tells it", async () => {
  const { config, notes } = await resolved("sort-demo", `--init_from=${TINY}`);
  const { n_layer, n_head, n_embd, block_size, vocab_size, bias, activation, attention } = modelConfig(
    config,
  );
  assert.deepEqual([n_layer, n_head, n_embd, block_size, vocab_size], [3, 4, 48, 32, 101]);
  assert.deepEqual([bias, activation, attention], [true, "gelu_tanh", "causal"]);
  assert.match(notes.join(" "), /as in .*hf-gpt2-tiny: n_layer = 3, n_head = 4/);
});

Deno.test("adoptWeights() refuses a key that the weights contradict, and a longer context", async () => {
  for (
    const [word, sentence] of [
      ["--n_layer=6", /with n_layer = 6 as its weights are of a model with 3: leave out --n_layer$/],
      ["--activation=gelu", /with activation = gelu as its weights are of a model with gelu_tanh/],
      ["--block_size=64", /with block_size = 64 as its weights are of a model with 32/],
    ] as const
  ) {
    await assert.rejects(resolved("sort-demo", `--init_from=${TINY}`, word), {
      code: "E_CONFIG",
      message: sentence,
    });
  }
});

Deno.test("adoptWeights() resizes the vocabulary and shortens the context only where that is asked", async () => {
  const { config } = await resolved(
    "shakespeare-char",
    "--data=x.txt",
    `--init_from=${TINY}`,
    "--vocab_size=120",
    "--block_size=8",
  );
  assert.deepEqual([config.vocab_size, config.block_size], [120, 8]);
  using replica = await Replica.create(config);
  await replica.initialize();
  const { parameters } = await loadModel(modelConfig(config), null);
  const flat = replica.state.region("parameters").view;
  const rows = (name: string) => {
    const found = parameters.find((parameter) => parameter.name === name);
    return flat.subarray(found?.offset, (found?.offset ?? 0) + (found?.size ?? 0));
  };
  const theirs = await readWeights(await openWeights(TINY));
  const [wte, wpe] = ["transformer.wte.weight", "transformer.wpe.weight"];
  assert.deepEqual(rows(wte).subarray(0, 101 * 48), theirs.get(wte)?.data);
  const added = rows(wte).subarray(101 * 48);
  assert.equal(added.length, 19 * 48);
  assert.ok(added.every((x) => x !== 0 && Math.abs(x) < 0.15)); // as new ones begin, N(0, 0.02)
  assert.deepEqual(rows(wpe), theirs.get(wpe)?.data.subarray(0, 8 * 48));
});

Deno.test("adoptWeights() takes the variant of a run that is started from", () =>
  inTempDir(async (dir) => {
    const reflex = { heads: [1, 1, 0], depth: 1, source: "kv", combine: "concat" };
    const sort = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11 };
    const run = await writeTinyRun(join(dir, "run"), { config: { ...sort, attention: "reflex", reflex } });
    const { config } = await resolved(
      "sort-demo",
      "--sort.length=4",
      "--sort.values=10",
      `--init_from=${run}`,
    );
    assert.equal(config.attention, "reflex");
    assert.deepEqual([config.reflex.heads, config.reflex.source, config.n_embd], [[1, 1, 0], "kv", 8]);
  }));
