import assert from "node:assert/strict";
import { join } from "node:path";
import { loadCheckpoint } from "../../worker/load_checkpoint.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { BIGRAM, chain, writeTinyRun } from "./tiny_run.ts";

const sort = {
  dataset: "sort",
  sort: { length: 4, values: 12 },
  probe: { length: 4, values: 8 },
  vocab_size: 13,
};
const REFLEX = { ...sort, attention: "reflex", reflex: { heads: [1, 1, 0] } };

Deno.test("loadCheckpoint() gives step, configuration and every parameter with its shape", async () => {
  await inTempDir(async (dir) => {
    const written: Float32Array[] = [];
    const run = await writeTinyRun(join(dir, "run"), {
      config: sort,
      weights: (_, { size }) => {
        written.push(Float32Array.from({ length: size }, (_, i) => i / size));
        return written[0];
      },
    });
    await using checkpoint = await loadCheckpoint(run);
    assert.equal(checkpoint.step, 3);
    assert.equal(checkpoint.valLoss, 3);
    assert.equal(checkpoint.engine, "reference");
    assert.equal(checkpoint.config.n_embd, 8);
    assert.deepEqual(checkpoint.warnings, []);
    const { parameters } = checkpoint;
    assert.deepEqual(parameters.get("transformer.wte.weight")?.shape, [13, 8]);
    assert.deepEqual(parameters.get("transformer.h.1.mlp.c_fc.weight")?.shape, [32, 8]);
    assert.deepEqual([...parameters.values()].flatMap(({ data }) => [...data]), [...written[0]]);
  });
});

Deno.test("loadCheckpoint() opens a checkpoint on another engine, with the same logits", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: REFLEX });
    const tokens = [3, 1, 4, 0, 12, 5, 2, 7, 1, 12];
    const results: Float32Array[] = [];
    for (const engine of ["reference", "onnx"] as const) {
      await using checkpoint = await loadCheckpoint(run, { engine });
      assert.equal(checkpoint.engine, engine);
      results.push(await checkpoint.logits(tokens, { batchSize: 2 }));
      const first = await checkpoint.logits(tokens.slice(0, 5));
      first.forEach((x, i) => assert(Math.abs(x - results[0][i]) < 1e-5));
    }
    assert.equal(results[0].length, tokens.length * 13);
    results[0].forEach((x, i) => assert(Math.abs(x - results[1][i]) < 1e-5));
  });
});

Deno.test("loadCheckpoint() loads the newest, the best, that of a step, or that of the folder it is given", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: sort, steps: [2, 4, 6] });
    const stepOf = async (path: string, checkpoint?: "latest" | "best" | number) => {
      await using loaded = await loadCheckpoint(path, { checkpoint });
      return loaded.step;
    };
    assert.equal(await stepOf(run), 6);
    assert.equal(await stepOf(run, "best"), 2);
    assert.equal(await stepOf(run, 4), 4);
    const folder = join(run, "checkpoints", "step-00000004");
    assert.equal(await stepOf(folder), 4);
    assert.equal(await stepOf(`${folder}/`), 4);
    assert.equal(await stepOf(folder, "latest"), 6);
    await assert.rejects(stepOf(run, 5), {
      code: "E_NO_CHECKPOINT",
      message: /^Cannot load step 5 from .* as it holds steps 2, 4, 6$/,
    });
  });
});

Deno.test("loadCheckpoint() passes over a damaged newest checkpoint and says so", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: sort, steps: [2, 4] });
    const file = join(run, "checkpoints", "step-00000004", "model.safetensors");
    const bytes = await Deno.readFile(file);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(file, bytes);
    await using checkpoint = await loadCheckpoint(run);
    assert.equal(checkpoint.step, 2);
    assert.equal(checkpoint.warnings.length, 1);
    assert.match(
      checkpoint.warnings[0],
      /^E_CHECKPOINT_CORRUPT: .*step-00000004 .*model\.safetensors is damaged/,
    );
    await assert.rejects(loadCheckpoint(run, { checkpoint: 4 }), { code: "E_CHECKPOINT_CORRUPT" });
  });
});

Deno.test("loadCheckpoint() refuses what is no run, or one without a checkpoint", async () => {
  await inTempDir(async (dir) => {
    for (const path of [join(dir, "gone"), dir]) {
      await assert.rejects(loadCheckpoint(path), {
        code: "E_OUT_DIR",
        message:
          `Cannot open the run ${path} as it must be a folder with a readable config.toml, such as out/sort-demo`,
      });
    }
    const run = await writeTinyRun(join(dir, "run"), { config: sort, steps: [] });
    await assert.rejects(loadCheckpoint(run), { code: "E_NO_CHECKPOINT" });
  });
});

Deno.test("loadCheckpoint() opens a user's model, but not one that has changed since the training", async () => {
  await inTempDir(async (dir) => {
    const model = join(dir, "my_model.ts");
    const source = (await Deno.readTextFile(BIGRAM)).replace(
      /\.\.\/\.\.\//g,
      new URL("../../", import.meta.url).href,
    );
    await Deno.writeTextFile(model, source);
    const run = await writeTinyRun(join(dir, "run"), {
      config: { ...sort, model },
      weights: () => chain(13, (token) => (token + 1) % 13),
    });
    {
      await using checkpoint = await loadCheckpoint(run);
      const logits = await checkpoint.logits([4, 7]);
      assert.equal(logits[5], 20);
      assert.equal(logits[13 + 8], 20);
    }
    await Deno.writeTextFile(model, `${source}\n`);
    await assert.rejects(loadCheckpoint(run), {
      code: "E_CONFIG_HASH",
      message:
        /^Cannot load .* as that must have the SHA-256 of the training, .*: it has .*, put the file back/,
    });
  });
});

Deno.test("LoadedCheckpoint.logits() refuses tokens that are no ids and sequences that do not fit", async () => {
  await inTempDir(async (dir) => {
    await using checkpoint = await loadCheckpoint(await writeTinyRun(join(dir, "run"), { config: sort }));
    for (const token of [13, -1, 0.5, NaN]) {
      await assert.rejects(checkpoint.logits([1, token]), {
        code: "E_TOKEN",
        message: `Cannot compute logits as token ids are whole numbers from 0 to 12: ${token} was given`,
      });
    }
    for (const [tokens, batchSize] of [[[], 1], [[1, 2, 3], 2], [new Array(9).fill(1), 1]] as const) {
      await assert.rejects(checkpoint.logits(tokens, { batchSize }), {
        code: "E_USAGE",
        message:
          `Cannot compute logits as ${batchSize} sequences of 1 to 8 tokens each are required: ${tokens.length} tokens were given`,
      });
    }
  });
});
