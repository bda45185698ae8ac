import assert from "node:assert/strict";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Arena } from "../../worker/arena.ts";
import type { Engine, EngineOptions, Trainer } from "../../worker/engines/engine.ts";
import { open as openReference } from "../../worker/engines/reference.ts";
import { open as openXla } from "../../worker/engines/xla.ts";
import { bindKernels } from "../../worker/kernels/kernels.ts";
import { Replica } from "../../worker/replica.ts";
import { type ComputedStep, ShardTrainer } from "../../worker/shard_trainer.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./engines/xla_available.ts";

type Open = (options: EngineOptions) => Engine | Promise<Engine>;

/** An engine with other trainers. */
const withTrainers = (open: Open, change: (trainer: Trainer) => Trainer): Open => async (options) => {
  const engine = await open(options);
  return {
    name: engine.name,
    device: engine.device,
    trainer: async (shape) => change(await engine.trainer(shape)),
    scorer: (shape) => engine.scorer(shape),
    forward: (shape) => engine.forward(shape),
    decoder: (shape) => engine.decoder(shape),
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
};

/** Adds in the arena, whatever the engine could do. */
const onHost = (open: Open) =>
  withTrainers(open, (trainer) => ({
    graph: trainer.graph,
    gradients: (...given) => trainer.gradients(...given),
  }));

/** Adds each subtree in memory of its own: what an engine with a device does. */
const ofItsOwn = (open: Open) =>
  withTrainers(open, (trainer) => ({
    graph: trainer.graph,
    gradients: (...given) => trainer.gradients(...given),
    async sumSubtree({ tree, node, shard, isAborted }, gradient) {
      const losses: number[] = [];
      const sum = async (node: number): Promise<Float32Array | null> => {
        const { first, left, right } = tree.nodes[node];
        if (left < 0) {
          if (isAborted()) return null;
          const { batch, key } = shard(first);
          const own = Arena.create({ gradient: gradient.length }).region("gradient");
          losses.push(await trainer.gradients(batch, own, key));
          return own.view;
        }
        const a = await sum(left);
        const b = a === null ? null : await sum(right);
        return a === null || b === null ? null : a.map((x, i) => Math.fround(x + b[i]));
      };
      const total = await sum(node);
      if (total === null) return null;
      gradient.view.set(total);
      return losses;
    },
  }));

interface Computed {
  readonly computed: ComputedStep | null;
  /** The numbers of partial sums by tree node, as they were announced. */
  readonly sums: Map<number, Float32Array>;
  /** How many micro-batches were begun. */
  readonly begun: number;
}

interface Attempt {
  readonly audit?: number | null;
  /** Ends the attempt when so many shards were begun. */
  readonly after?: number;
}

interface Member {
  readonly trainer: ShardTrainer;
  readonly compute: (step: number, attempt?: Attempt) => Promise<Computed>;
}

/** A member of a run with V virtual shards, whose deal is still to come. */
async function withMember<T>(
  { V, open }: { V: number; open: Open },
  use: (member: Member) => Promise<T>,
): Promise<T> {
  const config = parseRunConfig({
    ...{ n_layer: 1, n_head: 2, n_embd: 8, block_size: 8, vocab_size: 17, batch_size: 2 },
    ...{
      dropout: 0.1,
      dataset: "sort",
      sort: { length: 4, values: 16 },
      probe: { length: 4, values: 8 },
      gradient_accumulation_steps: V,
    },
  }, { source: "test" });
  using replica = await Replica.create(config);
  await replica.initialize();
  const { model, module, state } = replica;
  const dataset = await openDataset(config);
  await using owned = new AsyncDisposableStack();
  let begun = 0;
  const counting = withTrainers(open, (trainer) => counted(trainer, () => begun++));
  const trainer = await ShardTrainer.create(replica, {
    scratchGradients: 0,
    dataset,
    async openEngine({ partials, slice }) {
      const kernels = bindKernels(module, { arena: partials });
      const memory = { kernels, parameters: state.region("parameters"), slice };
      return owned.use(await counting({ model, memory, device: "cpu", threads: 1 }));
    },
  });
  const { buffer } = Arena.adopt(trainer.setup.partials).region("scratch").view;
  return await use({
    trainer,
    async compute(step, { audit = null, after = Infinity } = {}) {
      const sums = new Map<number, Float32Array>();
      const onPartial = (node: number, byteOffset: number) =>
        void sums.set(node, new Float32Array(buffer, byteOffset, model.size).slice());
      begun = 0;
      const isAborted = () => begun >= after;
      const computed = await trainer.computeStep(step, { audit, onPartial, isAborted });
      return { computed, sums, begun };
    },
  });
}

/** Calls `onShard` as each shard is begun. */
function counted(trainer: Trainer, onShard: () => void): Trainer {
  const { sumSubtree } = trainer;
  return {
    graph: trainer.graph,
    gradients(...given) {
      onShard();
      return trainer.gradients(...given);
    },
    ...sumSubtree === undefined ? {} : {
      sumSubtree: ({ shard, ...subtree }, gradient) =>
        sumSubtree.call(trainer, {
          ...subtree,
          isAborted: subtree.isAborted,
          shard(index) {
            onShard();
            return shard(index);
          },
        }, gradient),
    },
  };
}

/** By V: shards of a member. */
const DEALS: readonly (readonly [V: number, deals: readonly (readonly number[])[]])[] = [
  [1, [[0]]],
  [2, [[0, 1], [1]]],
  [3, [[0, 1, 2], [1, 2]]],
  [6, [[0, 1, 2, 3, 4, 5], [1, 2, 5]]],
  [8, [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 4, 5, 7], [3, 4, 5, 6]]],
];

const ENGINES = [
  { name: "sums of an engine's own", open: ofItsOwn(openReference), host: openReference, ignore: false },
  { name: `sums of xla${XLA_SKIPPED}`, open: openXla, host: onHost(openXla), ignore: !XLA_AVAILABLE },
];

for (const { name, open, host, ignore } of ENGINES) {
  const test = (title: string, fn: () => Promise<void>) =>
    Deno.test({ name: `ShardTrainer.computeStep() with ${name} ${title}`, ignore, fn });

  test("has every bit of sums in the arena, for any deal", async () => {
    for (const [V, deals] of DEALS) {
      const [expected, actual] = await Promise.all(
        [host, open].map((open) =>
          withMember({ V, open }, async ({ trainer, compute }) => {
            const steps: Computed[] = [];
            for (const [step, deal] of deals.entries()) {
              trainer.deal(deal);
              steps.push(await compute(step));
            }
            return steps;
          })
        ),
      );
      assert.deepEqual(actual, expected);
      const nodes = deals.map((deal) => new ReductionTree(V).maximalSubtrees(deal));
      assert.deepEqual(actual.map(({ sums }) => [...sums.keys()]), nodes);
    }
  });

  test("hashes the gradient of an audited shard, its own or another's", async () => {
    const [V, shards] = [8, [0, 1, 2, 3, 6]];
    const audits = [0, 2, 3, 6, 7];
    const [expected, actual] = await Promise.all(
      [host, open].map((open) =>
        withMember({ V, open }, async ({ trainer, compute }) => {
          trainer.deal(shards);
          const steps: Computed[] = [];
          for (const audit of audits) steps.push(await compute(5, { audit }), await compute(6));
          return steps;
        })
      ),
    );
    assert.deepEqual(actual, expected);
    const hashes = actual.flatMap(({ computed }) => computed?.audited ?? []);
    assert.equal(new Set(hashes).size, audits.length);
  });

  test("gives up a subtree at an abort, and computes all but what is complete for any other deal", async () => {
    const [V, before] = [8, [0, 1, 2, 3, 5, 6, 7]]; // the subtrees ((0 1) (2 3)), 5 and (6 7)
    const cases = [
      { after: 1, deal: before, kept: 0 },
      { after: 4, deal: before, kept: 4 },
      { after: 7, deal: before, kept: 7 },
      { after: 5, deal: [0, 1, 4, 5], kept: 1 },
      { after: 5, deal: [0, 1, 2, 3, 4, 5, 6, 7], kept: 5 },
    ];
    for (const { after, deal, kept } of cases) {
      await withMember({ V, open }, async ({ trainer, compute }) => {
        trainer.deal(deal);
        const expected = await compute(2);
        assert.equal(expected.begun, deal.length);
        await compute(1);

        trainer.deal(before);
        const aborted = await compute(2, { after });
        assert.equal(aborted.computed, null);
        assert.equal(aborted.begun, after);
        trainer.deal(deal);
        const again = await compute(2);
        assert.equal(again.begun, deal.length - kept);
        assert.deepEqual(again.computed, expected.computed);
        assert.deepEqual(sorted(again.sums), sorted(expected.sums));
      });
    }
  });
}

/** By node: what was complete is announced before the rest. */
const sorted = (sums: Map<number, Float32Array>) => [...sums].sort(([a], [b]) => a - b);
