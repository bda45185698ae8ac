import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { Arena } from "../../../worker/arena.ts";
import type { ModelConfig } from "../../../shared/config/model_config.ts";
import type { Batch } from "../../../shared/data/datasets/dataset.ts";
import { LockstepError } from "../../../shared/errors.ts";
import type { DropoutKey, Engine, EngineOptions } from "../../../worker/engines/engine.ts";
import { open as openReference } from "../../../worker/engines/reference.ts";
import { sliceRows } from "../../../worker/engines/slices.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { tinyConfig, tinyModel, VARIANTS } from "../tiny_model.ts";
import { KEY, randomBatch, type Rig, type Step, stepOf, withRig } from "./rig.ts";

/** An engine under test. */
export interface EngineUnderTest {
  readonly name: string;
  readonly open: (options: EngineOptions) => Engine | Promise<Engine>;
  /** The numbers of threads that it may be given. */
  readonly threads: readonly number[];
}

const SHAPE = { batchSize: 3, length: 8 };

/** Large enough to be cut into slices. */
const SLICED = { batchSize: 128, length: 16 };
const slicedConfig = (changes: Partial<ModelConfig> = {}) =>
  tinyConfig({ n_layer: 1, n_head: 2, n_embd: 4, block_size: 16, vocab_size: 7, ...changes });

/** Logits of so many tokens, (262,139, 2^20), are 1 TiB; a prime number of rows cannot be cut into slices. */
const TOO_LARGE = { batchSize: 262_139, length: 1 };
const wideConfig = tinyConfig({ n_layer: 1, n_head: 1, n_embd: 1, block_size: 1, vocab_size: 2 ** 20 });

/** Why the system would not refuse 1 TiB; empty if it does. */
function whyNotRefused(): string {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.systemMemoryInfo().total > 2 ** 39) return "needs a machine of at most 512 GiB";
  const promisesAll = Deno.readTextFileSync("/proc/sys/vm/overcommit_memory").trim() === "1";
  return promisesAll ? "needs vm.overcommit_memory 0 or 2" : "";
}

/** What every engine must do. */
export function engineContract({ name, open, threads }: EngineUnderTest): void {
  const test = (title: string, work: () => Promise<void>) => Deno.test(`${name}: ${title}`, work);
  const withEngine = <T>(model: Model, use: (rig: Rig) => Promise<T>, count = 1) =>
    withRig({ model, open, threads: count }, use);
  const step = (model: Model, batch: Batch, key = KEY) => withEngine(model, (rig) => stepOf(rig, batch, key));

  for (const [variant, config] of Object.entries(VARIANTS)) {
    test(`the gradient equals that of the reference: ${variant}`, async () => {
      const model = await tinyModel(config);
      const batch = randomBatch(config, SHAPE);
      assertSteps(model, await step(model, batch), await referenceStep(model, batch));
    });

    test(`the decoder gives the logits of the whole context at every position and beyond it: ${variant}`, async () => {
      const model = await tinyModel(config);
      await withEngine(
        model,
        (rig) => withRig({ model, open: openReference }, (reference) => assertDecodes(rig, reference)),
      );
    });
  }

  for (const count of threads) {
    test(`a step gives one result in 50 runs, on ${count} thread(s)`, async () => {
      const model = await tinyModel(tinyConfig({ n_layer: 1, n_embd: 12, dropout: 0.1 }));
      const batch = randomBatch(model.config, { batchSize: 16, length: 8 });
      await withEngine(model, async ({ engine, gradient }) => {
        const trainer = await engine.trainer(batch);
        const results = new Set<string>();
        for (let run = 0; run < 50; run++) {
          gradient.view.fill(run); // what was there before does not matter
          const loss = await trainer.gradients(batch, gradient, KEY);
          results.add(`${loss} ${new Uint8Array(gradient.view.slice().buffer).toBase64()}`);
        }
        assert.equal(results.size, 1);
      }, count);
    });
  }

  test("a step has the same bits in another engine of the same kind", async () => {
    const model = await tinyModel(VARIANTS["reflex of the top 2"]);
    const batch = randomBatch(model.config, SHAPE);
    assert.deepEqual(await step(model, batch), await step(model, batch));
  });

  test("a batch without targets has the loss 0 and the gradient 0", async () => {
    const model = await tinyModel(tinyConfig());
    const batch = randomBatch(model.config, SHAPE);
    batch.targets.fill(-1);
    const { loss, gradient } = await step(model, batch);
    assert.ok(loss === 0 && gradient.every((x) => x === 0));
  });

  test("the loss is the mean over the targets that are not −1", async () => {
    const model = await tinyModel(tinyConfig());
    const batch = randomBatch(model.config, SHAPE);
    await withEngine(model, async (rig) => {
      const { loss } = await stepOf(rig, batch);
      const likelihood = await (await rig.engine.scorer(SHAPE)).likelihood(batch);
      const counted = likelihood.filter((_, i) => batch.targets[i] >= 0);
      assert.ok(counted.length > 0 && counted.length < batch.targets.length);
      assertNear(loss, counted.reduce((a, b) => a + b, 0) / counted.length, 1e-6);
    });
  });

  test("the likelihood is −log softmax of the logits, 0 without a target, whatever the dropout", async () => {
    const model = await tinyModel(tinyConfig({ dropout: 0.5 }));
    const batch = randomBatch(model.config, SHAPE);
    await withEngine(model, async ({ engine }) => {
      const logits = await (await engine.forward(SHAPE)).logits(batch.tokens);
      const likelihood = await (await engine.scorer(SHAPE)).likelihood(batch);
      assertClose(likelihood, likelihoodOf(logits, batch.targets, model.config.vocab_size), 1e-6);
    });
  });

  test("programs of several shapes stand beside each other, compiled at once or in turn", async () => {
    const model = await tinyModel(VARIANTS["router"]);
    const small = randomBatch(model.config, { batchSize: 1, length: 3 });
    const large = randomBatch(model.config, SHAPE);
    const expected = { small: await step(model, small), large: await step(model, large) };
    await withEngine(model, async ({ engine, gradient }) => {
      const [first, second, scorer, forward] = await Promise.all([
        engine.trainer(small),
        engine.trainer(large),
        engine.scorer(small),
        engine.forward(large),
      ]);
      for (let round = 0; round < 2; round++) {
        assert.equal(await first.gradients(small, gradient, KEY), expected.small.loss);
        assert.deepEqual(gradient.view, expected.small.gradient);
        assert.equal(await second.gradients(large, gradient, KEY), expected.large.loss);
        assert.deepEqual(gradient.view, expected.large.gradient);
        assert.equal((await scorer.likelihood(small)).length, 3);
        assert.equal((await forward.logits(large.tokens)).length, 3 * 8 * model.config.vocab_size);
      }
    });
  });

  test("shapes that change between compilations change no bit", async () => {
    const model = await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.2 }));
    const shapes = [SHAPE, { batchSize: 1, length: 8 }, { batchSize: 3, length: 2 }, SHAPE];
    const batches = shapes.map((shape) => randomBatch(model.config, shape));
    const alone: Step[] = [];
    for (const batch of batches) alone.push(await step(model, batch));
    await withEngine(model, async (rig) => {
      for (const [i, batch] of batches.entries()) {
        assert.deepEqual(await stepOf(rig, batch), alone[i]);
        const { batchSize, length } = batch;
        const logits = await (await rig.engine.forward({ batchSize, length })).logits(batch.tokens);
        assert.equal(logits.length, batchSize * length * model.config.vocab_size);
      }
    });
    assert.deepEqual(alone[3], alone[0]);
  });

  const why = whyNotRefused();
  Deno.test({
    name:
      `${name}: a batch that memory cannot hold is refused in a sentence that names the engine, which goes on${
        why && ` (skipped: ${why})`
      }`,
    ignore: why !== "",
    async fn() {
      const model = await tinyModel(wideConfig);
      const one = randomBatch(model.config, { batchSize: 1, length: 1 });
      one.targets.fill(5);
      await withEngine(model, async (rig) => {
        const [scorer, trainer] = [await rig.engine.scorer(one), await rig.engine.trainer(one)];
        const isFast = trainer.graph !== null; // op by op, gradients of so many logits take minutes in JavaScript
        const compute = async () => [
          await scorer.likelihood(one),
          isFast ? await trainer.gradients(one, rig.gradient, KEY) : null,
        ];
        const before = await compute();
        const { numTensors } = tf.memory();
        await assert.rejects(stepOf(rig, randomBatch(model.config, TOO_LARGE)), (error) => {
          assert.ok(error instanceof LockstepError);
          assert.equal(error.code, "E_MEMORY");
          assert.match(error.message, new RegExp(`^[A-Z].*engine ${name}\\b.*[^.]$`));
          return true;
        });
        assert.equal(tf.memory().numTensors, numTensors);
        assert.deepEqual(await compute(), before);
      });
    },
  });

  test("the parameters count as they are when a program runs, and what it returned stays as it was", async () => {
    const model = await tinyModel(tinyConfig({ n_layer: 1 }));
    const batch = randomBatch(model.config, SHAPE);
    await withEngine(model, async ({ engine, parameters, gradient }) => {
      const trainer = await engine.trainer(SHAPE);
      const forward = await engine.forward(SHAPE);
      const before = await trainer.gradients(batch, gradient, KEY);
      const logits = await forward.logits(batch.tokens);
      const copy = logits.slice();
      parameters.view.fill(0);
      assertNear(await trainer.gradients(batch, gradient, KEY), Math.log(model.config.vocab_size), 1e-6);
      assert.ok((await forward.logits(batch.tokens)).every((x) => x === 0));
      assert.deepEqual(logits, copy);
      assert.notEqual(before, 0);
    });
  });

  test("gradients go to the region that is named, and nowhere else", async () => {
    const model = await tinyModel(tinyConfig({ n_layer: 1 }));
    const batch = randomBatch(model.config, SHAPE);
    await withEngine(model, async ({ engine, gradient }) => {
      const arena = Arena.create({ before: 16, other: model.size, after: 16 });
      const trainer = await engine.trainer(SHAPE);
      const loss = await trainer.gradients(batch, gradient, KEY);
      const expected = gradient.view.slice();
      gradient.view.fill(5);
      assert.equal(await trainer.gradients(batch, arena.region("other"), KEY), loss);
      assert.deepEqual(arena.region("other").view, expected);
      assert.ok(gradient.view.every((x) => x === 5));
      for (const name of ["before", "after"] as const) {
        assert.ok(arena.region(name).view.every((x) => x === 0));
      }
    });
  });

  test("a batch that is cut into slices gives the whole's gradient, the same bits each time", async () => {
    assert.ok(sliceRows(SLICED) < SLICED.batchSize);
    const model = await tinyModel(slicedConfig());
    const batch = randomBatch(model.config, SLICED);
    const first = await step(model, batch);
    assertSteps(model, first, await referenceStep(model, batch));
    assert.deepEqual(await step(model, batch), first);
  });

  test("a batch that is cut into slices has the whole's dropout masks", async () => {
    const model = await tinyModel(slicedConfig({ dropout: 0.4 }));
    const batch = randomBatch(model.config, SLICED);
    assertSteps(model, await step(model, batch), await referenceStep(model, batch));
  });

  for (const variant of ["causal", "reflex of keys and values", "router with bias"]) {
    test(`dropout's gradient equals that of the reference: ${variant}`, async () => {
      const model = await tinyModel({ ...VARIANTS[variant], dropout: 0.3 });
      const batch = randomBatch(model.config, SHAPE);
      assertSteps(model, await step(model, batch), await referenceStep(model, batch));
    });
  }

  test("dropout is another one for another seed, step and shard, and the same for the same", async () => {
    const model = await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.3 }));
    const batch = randomBatch(model.config, SHAPE);
    const keys: DropoutKey[] = [KEY, { ...KEY, seed: 8 }, { ...KEY, step: 4 }, { ...KEY, shard: 2 }];
    await withEngine(model, async ({ engine, gradient }) => {
      const trainer = await engine.trainer(SHAPE);
      const losses: number[] = [];
      for (const key of [...keys, ...keys]) losses.push(await trainer.gradients(batch, gradient, key));
      assert.equal(new Set(losses).size, keys.length);
      assert.deepEqual(losses.slice(keys.length), losses.slice(0, keys.length));
    });
  });

  test("the hash of the compiled step is that of its shape and model, null where nothing is compiled", async () => {
    const graphOf = async (config: ModelConfig, length: number) =>
      withEngine(
        await tinyModel(config),
        async ({ engine }) => (await engine.trainer({ batchSize: 2, length })).graph,
      );
    const graph = await graphOf(tinyConfig(), 4);
    assert.equal(await graphOf(tinyConfig(), 4), graph);
    if (graph === null) return;
    assert.match(graph, /^[0-9a-f]{64}$/);
    assert.notEqual(await graphOf(tinyConfig(), 5), graph);
    assert.notEqual(await graphOf(tinyConfig({ bias: true }), 4), graph);
  });

  test("a step that is on its way when its engine is disposed of ends, or is refused as all later ones", async () => {
    const model = await tinyModel(slicedConfig({ n_embd: 8 }));
    const batch = randomBatch(model.config, SLICED);
    await withEngine(model, async ({ engine, gradient }) => {
      const trainer = await engine.trainer(SLICED);
      const settled = (step: Promise<number>) =>
        step.then(Number.isFinite, (error) => error.code === "E_ENGINE");
      const running = settled(trainer.gradients(batch, gradient, KEY));
      await engine[Symbol.asyncDispose]();
      assert.ok(await running);
      assert.ok(await settled(trainer.gradients(batch, gradient, KEY)));
    });
  });

  test("an engine can be disposed of twice, and another one goes on", async () => {
    const model = await tinyModel(tinyConfig());
    const batch = randomBatch(model.config, SHAPE);
    await withEngine(model, async (kept) => {
      const expected = await stepOf(kept, batch);
      await withEngine(model, async (other) => {
        await stepOf(other, batch);
        await (await other.engine.forward(SHAPE)).logits(batch.tokens);
        await other.engine.decoder({ batchSize: 1, length: 2 });
        await other.engine[Symbol.asyncDispose]();
      });
      assert.deepEqual(await stepOf(kept, batch), expected);
    });
  });
}

/** Decodes several rows beyond block_size, begins anew, and decodes a single row, and compares with whole contexts. */
async function assertDecodes({ engine, model: { config } }: Rig, reference: Rig): Promise<void> {
  const prompts = [[4, 1, 7], [9], [2, 2, 5, 10]];
  const several = await engine.decoder({ batchSize: prompts.length, length: 4 });
  const single = await engine.decoder({ batchSize: 1, length: 4 });
  const rounds = [
    { decoder: several, history: prompts, count: config.block_size },
    { decoder: several, history: prompts.toReversed(), count: 2 },
    { decoder: single, history: [[3, 3]], count: 2 },
  ];
  for (const { decoder, history, count } of rounds) {
    const rows = history.map((prompt) => [...prompt]);
    let logits = await decoder.prefill(padded(rows, 4), Int32Array.from(rows, (row) => row.length));
    for (let index = 0; index < count; index++) {
      assertClose(logits, await wholeLogits(reference, rows), 2e-5);
      rows.forEach((row, i) => row.push((5 * i + 3 * index + 1) % config.vocab_size));
      logits = await decoder.append(Int32Array.from(rows, (row) => row[row.length - 1]));
    }
  }
}

const referenceStep = (model: Model, batch: Batch): Promise<Step> =>
  withRig({ model, open: openReference }, (rig) => stepOf(rig, batch));

/** An engine's logits after each row, (B, V): its last block_size tokens alone are computed. */
async function wholeLogits({ engine, model }: Rig, rows: readonly number[][]): Promise<number[]> {
  const { block_size, vocab_size } = model.config;
  const all: number[] = [];
  for (const row of rows) {
    const recent = row.slice(-block_size);
    const forward = await engine.forward({ batchSize: 1, length: recent.length });
    all.push(...(await forward.logits(Int32Array.from(recent))).slice(-vocab_size));
  }
  return all;
}

/** Rows of tokens as (B, length), with a token that is not to count behind them. */
function padded(rows: readonly number[][], length: number): Int32Array {
  return Int32Array.from(rows.flatMap((row) => [...row, ...Array(length - row.length).fill(3)]));
}

/** −log softmax of logits (N, V) at the targets, in float64. */
function likelihoodOf(logits: Float32Array, targets: Int32Array, vocabulary: number): number[] {
  return Array.from(targets, (target, n) => {
    if (target < 0) return 0;
    const row = logits.subarray(n * vocabulary, (n + 1) * vocabulary);
    const top = Math.max(...row);
    return top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0)) - row[target];
  });
}

/** Asserts equal losses, and gradients that differ by 1e-5 of each tensor's largest entry, or of 0.05, at most. */
function assertSteps({ parameters }: Model, actual: Step, expected: Step): void {
  assertNear(actual.loss, expected.loss, 2e-6);
  for (const { name, offset, size } of parameters) {
    const part = ({ gradient }: Step) => gradient.subarray(offset, offset + size);
    assertClose(part(actual), part(expected), 1e-5, name);
  }
}

function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  name = "entry",
): void {
  assert.equal(actual.length, expected.length, name);
  const numbers = Array.from(expected);
  const largest = Math.max(0.05, ...numbers.map(Math.abs));
  numbers.forEach((wanted, i) => {
    assert.ok(
      Math.abs(actual[i] - wanted) <= tolerance * largest,
      `${name} ${i} is ${actual[i]}, not ${wanted}`,
    );
  });
}

function assertNear(actual: number, expected: number, tolerance: number): void {
  const allowed = tolerance * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(actual - expected) <= allowed, `${actual}, not ${expected}`);
}
