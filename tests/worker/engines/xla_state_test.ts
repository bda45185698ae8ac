import assert from "node:assert/strict";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";
import { CounterRandom } from "../../../shared/random.ts";
import { stepScalars } from "../../../shared/schedule.ts";
import { Arena } from "../../../worker/arena.ts";
import type { Engine } from "../../../worker/engines/engine.ts";
import { openXla } from "../../../worker/engines/xla_plugin.ts";
import { open } from "../../../worker/engines/xla.ts";
import { XlaState } from "../../../worker/engines/xla_state.ts";
import { bindKernels, loadKernels } from "../../../worker/kernels/kernels.ts";
import { AdamW, type AdamWOptions } from "../../../worker/optimizer/adamw.ts";
import { Replica } from "../../../worker/replica.ts";
import { KEY, randomBatch } from "./rig.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./xla_available.ts";

const config = { weight_decay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8 };
const schedule = {
  learning_rate: 1e-2,
  min_lr: 0,
  warmup_iters: 0,
  lr_decay_iters: 9,
  max_iters: 9,
  decay_lr: true,
};
const scalarsOf = (step: number) => stepScalars(step, { ...schedule, ...config });

const onXla = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: name + XLA_SKIPPED, ignore: !XLA_AVAILABLE, fn });

/** A state of n random numbers each, of which the first half decays, with the kernels' AdamW beside XLA's. */
async function stateOf(n: number): Promise<{ options: AdamWOptions; host: AdamW; device: XlaState }> {
  const arena = Arena.create({ parameters: n, gradient: n, m: n, v: n });
  const [parameters, gradient, m, v] = (["parameters", "gradient", "m", "v"] as const).map((name) => {
    const region = arena.region(name);
    CounterRandom.fromSeed(1, name).fillNormal(region.view, { standardDeviation: 0.1 });
    return region;
  });
  v.view.forEach((x, i) => v.view[i] = x * x);
  const half = Math.ceil(n / 2);
  const tensors = [{ name: "w", shape: [half, 1], offset: 0 }, {
    name: "b",
    shape: [n - half],
    offset: half,
  }];
  const options = { regions: { parameters, gradient, m, v }, tensors, config };
  const target = { client: openXla("cpu"), device: "cpu", threads: 1, multiply: "float32" } as const;
  return {
    options,
    host: new AdamW(await loadKernels(arena), options),
    device: await XlaState.create(target, options),
  };
}

/** Parameters and both moments, one after the other. */
const numbersOf = ({ regions: { parameters, m, v } }: AdamWOptions) =>
  [parameters, m, v].flatMap(({ view }) => Array.from(view));

for (const n of [1, 16, 100, 16_384, 16_385, 3 * 16_384 + 33]) {
  onXla(`XlaState.hash() is that of the kernels, for ${n} parameters`, async () => {
    const { host, device, options: { regions } } = await stateOf(n);
    using state = device;
    assert.equal(await state.hash(), host.stateHash());
    regions.v.view[n - 1] += 1;
    assert.notEqual(await state.hash(), host.stateHash());
    state.invalidate();
    assert.equal(await state.hash(), host.stateHash());
  });
}

onXla(
  "XlaState.apply() is AdamW but for roundings, leaves the arena alone, and has the same bits each time",
  async () => {
    const results = await Promise.all([0, 1].map(async () => {
      const { options, host, device } = await stateOf(1000);
      using state = device;
      const start = numbersOf(options);
      for (let step = 0; step < 3; step++) await state.apply(scalarsOf(step), 0.5);
      assert.deepEqual(numbersOf(options), start);
      for (let step = 0; step < 3; step++) host.apply(scalarsOf(step), 0.5);
      const expected = numbersOf(options);
      await state.download();
      const updated = numbersOf(options);
      assert.equal(await state.hash(), host.stateHash());
      updated.forEach((x, i) =>
        assert.ok(Math.abs(x - expected[i]) <= 1e-6, `${i}: ${x}, not ${expected[i]}`)
      );
      assert.ok(updated.every((x, i) => x !== start[i]));
      return updated;
    }));
    assert.deepEqual(results[0], results[1]);
  },
);

const TINY = { n_layer: 1, n_head: 2, n_embd: 8, block_size: 8, vocab_size: 17, sort: { length: 4 } };

/** A member's state with an engine that keeps it on its device. */
async function withReplica(
  work: (parts: { replica: Replica; engine: Engine; open(): Promise<Engine> }) => Promise<void>,
) {
  using replica = await Replica.create(parseRunConfig({ ...TINY, engine: "xla" }, { source: "test" }));
  const { model, state, module } = replica;
  const openOne = () => {
    const kernels = bindKernels(module, { arena: state });
    const memory = {
      kernels,
      parameters: state.region("parameters"),
      slice: null,
      resident: replica.resident,
    };
    return open({ model, memory, device: "cpu", threads: 1 });
  };
  await replica.initialize();
  await using engine = await openOne();
  await replica.settle(engine);
  await work({ replica, engine, open: openOne });
}

onXla(
  "Replica keeps its state on the device of an engine, where all engines of that kind see it",
  () =>
    withReplica(async ({ replica, engine, open }) => {
      const { model, state } = replica;
      const parameters = state.region("parameters").view;
      const start = parameters.slice();
      const batch = randomBatch(model.config, { batchSize: 2, length: 4 });
      const trainer = await engine.trainer(batch);
      await using other = await open();
      const scorer = await other.scorer(batch);
      const before = await scorer.likelihood(batch);
      const first = await trainer.gradients(batch, state.region("reduced"), KEY);

      const hash = await replica.apply(scalarsOf(0), 1);
      assert.deepEqual(parameters, start, "the arena's are copies");
      const second = await trainer.gradients(batch, state.region("reduced"), KEY);
      assert.ok(second < first);
      const after = await scorer.likelihood(batch);
      assert.notDeepEqual(after, before);
      await replica.download();
      assert.notDeepEqual(parameters, start);
      assert.equal(replica.stateHash(), hash);

      parameters.set(start);
      replica.written();
      assert.deepEqual(await scorer.likelihood(batch), before);
      await replica.initialize();
      assert.equal(await trainer.gradients(batch, state.region("reduced"), KEY), first);
    }),
);
