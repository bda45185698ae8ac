import assert from "node:assert/strict";
import { ReductionTree } from "../../../shared/reduction_tree.ts";
import { StablehloText } from "../../../worker/compiler/stablehlo_text.ts";
import { Accumulator } from "../../../worker/collective/accumulator.ts";
import type { Subtree } from "../../../worker/engines/engine.ts";
import { PjrtBuffer, PjrtClient, PjrtProgram } from "../../../worker/engines/pjrt.ts";
import { open } from "../../../worker/engines/xla.ts";
import { openXla } from "../../../worker/engines/xla_plugin.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { KEY, randomBatch, withRig } from "./rig.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./xla_available.ts";

const onXla = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: name + XLA_SKIPPED, ignore: !XLA_AVAILABLE, fn });

/** What goes through XLA's buffers while `work` runs. */
class Traffic {
  downloaded = 0;
  uploaded = 0;
  /** The most gradients on the device as one was made. */
  mostGradients = 0;
  readonly #made: { buffer: PjrtBuffer; isGradient: boolean }[] = [];

  /** Buffers that are still there. */
  get alive(): number {
    return this.#made.filter(({ buffer }) => buffer.address !== 0n).length;
  }

  async watch(work: () => Promise<void>): Promise<void> {
    const { read } = PjrtBuffer.prototype;
    const { upload } = PjrtClient.prototype;
    const { execute } = PjrtProgram.prototype;
    const noteRead = (bytes: number) => this.downloaded += bytes;
    const noteUpload = (buffer: PjrtBuffer, bytes: number) => {
      this.uploaded += bytes;
      this.#made.push({ buffer, isGradient: false });
    };
    const noteOutputs = (buffers: readonly PjrtBuffer[]) => {
      buffers.forEach((buffer, i) => this.#made.push({ buffer, isGradient: i === buffers.length - 1 }));
      const alive = this.#made.filter(({ buffer, isGradient }) => isGradient && buffer.address !== 0n).length;
      if (buffers.length > 1) this.mostGradients = Math.max(this.mostGradients, alive);
    };
    PjrtBuffer.prototype.read = async function (into) {
      noteRead(into.byteLength);
      await read.call(this, into);
      return into;
    };
    PjrtClient.prototype.upload = function (data, ...rest) {
      const buffer = upload.call(this, data, ...rest);
      noteUpload(buffer, data.byteLength);
      return buffer;
    };
    PjrtProgram.prototype.execute = async function (...given) {
      const buffers = await execute.apply(this, given);
      noteOutputs(buffers);
      return buffers;
    };
    try {
      await work();
    } finally {
      PjrtBuffer.prototype.read = read;
      PjrtClient.prototype.upload = upload;
      PjrtProgram.prototype.execute = execute;
    }
  }
}

const SHAPE = { batchSize: 2, length: 4 };

/** All shards of a tree, of which so many are begun. */
async function withSubtree(
  V: number,
  use: (
    rig: { sum(after?: number): Promise<number[] | null>; size: number; gradient: Float32Array },
  ) => Promise<void>,
): Promise<void> {
  const model = await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.2 }));
  const openOnCpu = (options: Parameters<typeof open>[0]) => open({ ...options, device: "cpu" });
  await withRig({ model, open: openOnCpu }, async ({ engine, gradient }) => {
    const trainer = await engine.trainer(SHAPE);
    await use({
      size: model.size,
      gradient: gradient.view,
      async sum(after = Infinity) {
        let begun = 0;
        const subtree: Subtree = {
          tree: new ReductionTree(V),
          node: 0,
          shard(shard) {
            begun++;
            return { batch: randomBatch(model.config, SHAPE, shard), key: { ...KEY, shard } };
          },
          isAborted: () => begun >= after,
        };
        assert.ok(trainer.sumSubtree);
        return await trainer.sumSubtree(subtree, gradient);
      },
    });
  });
}

onXla(
  "XlaTrainer.sumSubtree() downloads one gradient and V losses, and leaves no buffer behind",
  async () => {
    for (const V of [1, 2, 3, 6, 8]) {
      await withSubtree(V, async ({ sum, size }) => {
        const traffic = new Traffic();
        await traffic.watch(async () => {
          const losses = await sum();
          assert.equal(losses?.length, V);
        });
        assert.equal(traffic.downloaded, 4 * size + 4 * V);
        assert.equal(traffic.mostGradients, Accumulator.bufferCount(new ReductionTree(V), Array(V).keys()));
        assert.equal(traffic.alive, 0);
      });
    }
  },
);

onXla("XlaTrainer.sumSubtree() leaves neither buffer nor number behind when it is aborted", async () => {
  await withSubtree(6, async ({ sum, gradient }) => {
    gradient.fill(5);
    for (let after = 0; after < 6; after++) {
      const traffic = new Traffic();
      await traffic.watch(async () => assert.equal(await sum(after), null));
      assert.equal(traffic.alive, 0);
      assert.equal(traffic.downloaded, 4 * after);
    }
    assert.ok(gradient.every((x) => x === 5));
    assert.equal((await sum())?.length, 6);
  });
});

onXla("PjrtProgram.execute() leaves no buffer behind when memory is short, and goes on", async () => {
  const client = openXla("cpu");
  using program = await client.compile(outerProduct(2 ** 20)); // 4 TiB
  const traffic = new Traffic();
  await traffic.watch(async () => {
    using ones = client.upload(new Float32Array(2 ** 20).fill(1), [2 ** 20]);
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(program.execute([ones], 1), {
        code: "E_MEMORY",
        message: /^The engine xla ran out of memory: .* \(Out of memory allocating 4398046511104 bytes\)$/,
      });
    }
    using small = await client.compile(outerProduct(2));
    using input = client.upload(Float32Array.of(2, 3), [2]);
    const [product] = await small.execute([input], 1);
    using read = product;
    assert.deepEqual(await read.read(new Float32Array(4)), Float32Array.of(4, 6, 6, 9));
  });
  assert.equal(traffic.alive, 0);
});

/** x (n) → x_i · x_j (n, n) */
function outerProduct(n: number): string {
  const to = new StablehloText();
  const x = to.input({ dtype: "float32", shape: [n] });
  const [rows, columns] = [[0], [1]].map((axes) => to.broadcast(x, [n, n], axes));
  return to.module([to.emit("stablehlo.multiply", [rows, columns], { type: rows })]);
}
