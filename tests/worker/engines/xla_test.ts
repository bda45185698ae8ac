import assert from "node:assert/strict";
import { join } from "node:path";
import type { EngineOptions } from "../../../worker/engines/engine.ts";
import { open } from "../../../worker/engines/xla.ts";
import { compileXla } from "../../../worker/engines/xla_cache.ts";
import { lossScale } from "../../../worker/engines/xla_trainer.ts";
import { isPluginThere, openXla } from "../../../worker/engines/xla_plugin.ts";
import { inTempDir, namesIn } from "../../shared/temp_dir.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";
import { KEY, randomBatch, stepOf, withRig } from "./rig.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./xla_available.ts";

/** Runs `work` while the cache folder is another one. */
async function withCacheFolder(dir: string, work: () => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_CACHE_HOME");
  Deno.env.set("XDG_CACHE_HOME", dir);
  try {
    await work();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
  }
}

Deno.test("open() of the engine xla says how to set up a plugin that is not there", () =>
  inTempDir((dir) =>
    withCacheFolder(dir, async () => {
      assert.ok(!isPluginThere("cuda"));
      const model = await tinyModel(tinyConfig());
      await assert.rejects(
        withRig({ model, open: (options) => open({ ...options, device: "cuda" }) }, () => Promise.resolve()),
        {
          code: "E_ENGINE",
          message:
            "Cannot use the engine xla on cuda as its plugin is not there: run deno task cli setup-xla --cuda",
        },
      );
    })
  ));

Deno.test("open() of the engine xla says why a library is no plugin", () =>
  inTempDir((dir) =>
    withCacheFolder(dir, async () => {
      const folder = join(dir, "lockstep/xla-cuda13-0.10.2/jax_plugins/xla_cuda13");
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(join(folder, "xla_cuda_plugin.so"), "no library");
      assert.throws(() => openXla("cuda"), { code: "E_ENGINE", message: /^Cannot load XLA's plugin/ });
    })
  ));

const onXla = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: name + XLA_SKIPPED, ignore: !XLA_AVAILABLE, fn });

const NEGATE = `module @negate {
  func.func public @main(%a: tensor<2xf32>) -> (tensor<2xf32>) {
    %0 = "stablehlo.negate"(%a) : (tensor<2xf32>) -> tensor<2xf32>
    return %0 : tensor<2xf32>
  }
}`;

onXla("compileXla() keeps machine code by text and options, and compiles again what is damaged", async () => {
  const client = openXla("cpu");
  const negate = async (options: { xla_cpu_multi_thread_eigen: boolean }) => {
    using program = await compileXla({ client, device: "cpu", options, code: NEGATE });
    using input = client.upload(Float32Array.of(1, -2), [2]);
    const [output] = await program.execute([input], 1);
    assert.deepEqual(await output.read(new Float32Array(2)), Float32Array.of(-1, 2));
    output[Symbol.dispose]();
  };
  await inTempDir((dir) =>
    withCacheFolder(dir, async () => {
      const folder = join(dir, "lockstep/programs");
      const one = { xla_cpu_multi_thread_eigen: false };
      await negate(one);
      const [name] = await namesIn(folder);
      const stored = await Deno.readFile(join(folder, name));
      await negate(one);
      assert.deepEqual(await namesIn(folder), [name]);
      const damaged = stored.with(stored.length - 1, stored[stored.length - 1] ^ 1);
      await Deno.writeFile(join(folder, name), damaged);
      await negate(one);
      assert.notDeepEqual(await Deno.readFile(join(folder, name)), damaged);
      await negate({ xla_cpu_multi_thread_eigen: true });
      assert.equal((await namesIn(folder)).length, 2);
    })
  );
});

onXla("XlaEngine copies parameters whose version is known once, and again when it is another", async () => {
  const model = await tinyModel(tinyConfig());
  let version = 0;
  const versioned = ({ memory, ...options }: EngineOptions) =>
    open({ ...options, device: "cpu", memory: { ...memory, version: () => version } });
  await withRig({ model, open: versioned }, async ({ engine, parameters }) => {
    const forward = await engine.forward({ batchSize: 1, length: 2 });
    const logits = await forward.logits(Int32Array.of(1, 2));
    parameters.view.fill(0);
    assert.deepEqual(await forward.logits(Int32Array.of(1, 2)), logits);
    version++;
    assert.ok((await forward.logits(Int32Array.of(1, 2))).every((x) => x === 0));
  });
});

Deno.test("lossScale() is a power of two that makes the gradient of a target's loss count 8 to 16 times", () => {
  assert.equal(lossScale(0), 1);
  for (const count of [1, 2, 3, 100, 12_288]) {
    const scale = lossScale(1 / count);
    assert.ok(Number.isInteger(Math.log2(scale)));
    assert.ok(scale / count >= 8 && scale / count < 16, `${count}: ${scale}`);
  }
});

/** ‖a − b‖ / ‖b‖ */
function relativeError(a: Float32Array, b: Float32Array): number {
  const squares = b.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / squares);
}

/** Narrow numbers have 8 and 11 bits; a model of two blocks loses one or two of them on the way. */
const NARROW = [
  { dtype: "bfloat16", allowed: 2e-2 },
  { dtype: "float16", allowed: 3e-3 },
] as const;

for (const { dtype, allowed } of NARROW) {
  onXla(
    `XlaEngine computes in ${dtype} nearly what it does in float32, with the same bits each time`,
    async () => {
      const model = await tinyModel(tinyConfig({ n_embd: 12, block_size: 16, dropout: 0.1 }));
      const batch = randomBatch(model.config, { batchSize: 16, length: 16 });
      const step = (chosen: EngineOptions["dtype"]) =>
        withRig(
          { model, open: (options) => open({ ...options, device: "cpu", dtype: chosen }) },
          (rig) => stepOf(rig, batch),
        );
      const [narrow, again, full] = [await step(dtype), await step(dtype), await step("float32")];
      assert.deepEqual(narrow, again);
      const error = relativeError(narrow.gradient, full.gradient);
      assert.ok(error > 0 && error < allowed, `relative error ${error}`);
      assert.ok(Math.abs(narrow.loss - full.loss) < allowed * full.loss, `${narrow.loss}, not ${full.loss}`);
    },
  );
}

onXla("XlaEngine leaves no memory behind in 500 steps", async () => {
  const model = await tinyModel(tinyConfig({ n_layer: 1, n_embd: 48, vocab_size: 2000 }));
  const shape = { batchSize: 1, length: 2 };
  const batch = randomBatch(model.config, shape);
  await withRig(
    { model, open: (options) => open({ ...options, device: "cpu" }) },
    async ({ engine, gradient }) => {
      const trainer = await engine.trainer(shape);
      for (let step = 0; step < 20; step++) await trainer.gradients(batch, gradient, KEY);
      const before = Deno.memoryUsage().rss;
      for (let step = 0; step < 500; step++) await trainer.gradients(batch, gradient, KEY);
      const grown = Deno.memoryUsage().rss - before;
      const bytesOfGradients = 500 * 4 * model.size;
      assert.ok(grown < bytesOfGradients / 4, `${grown} bytes more; 500 gradients are ${bytesOfGradients}`);
    },
  );
});
