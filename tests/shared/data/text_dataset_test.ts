import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { type Batch, createBatch } from "../../../shared/data/datasets/dataset.ts";
import { openDataset } from "../../../shared/data/datasets/open_dataset.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { sha256 } from "../../../shared/hash.ts";

const OPTIONS = {
  dataset: "text",
  sort: { length: 16, values: 16 },
  task_data: null,
  probe: { length: 4, values: 8 },
  seed: 1337,
  block_size: 8,
  batch_size: 4,
  gradient_accumulation_steps: 3,
} as const;

/** A folder with two parts whose token i is i and 1,000 + i, as nanoGPT leaves them: no meta.json. */
async function withFolder(test: (data_dir: string) => Promise<void>, valTokens = 40): Promise<void> {
  const data_dir = await Deno.makeTempDir();
  try {
    const train = Uint16Array.from({ length: 400 }, (_, i) => i);
    const val = Uint16Array.from({ length: valTokens }, (_, i) => 1_000 + i);
    await Deno.writeFile(join(data_dir, "train.bin"), new Uint8Array(train.buffer));
    await Deno.writeFile(join(data_dir, "val.bin"), new Uint8Array(val.buffer));
    await test(data_dir);
  } finally {
    await Deno.remove(data_dir, { recursive: true });
  }
}

function rowsOf(batch: Batch): { tokens: number[]; targets: number[] }[] {
  return Array.from({ length: batch.batchSize }, (_, row) => ({
    tokens: [...batch.tokens.subarray(row * batch.length, (row + 1) * batch.length)],
    targets: [...batch.targets.subarray(row * batch.length, (row + 1) * batch.length)],
  }));
}

Deno.test("TextDataset.trainBatch() reads windows of the training part, targets one token further", async () => {
  await withFolder(async (data_dir) => {
    const dataset = await openDataset({ ...OPTIONS, data_dir });
    const batch = createBatch(4, 8);
    const starts = new Set<number>();
    for (let step = 0; step < 600; step++) {
      dataset.trainBatch({ step, shard: step % 3 }, batch);
      for (const { tokens, targets } of rowsOf(batch)) {
        assert.deepEqual(tokens, Array.from({ length: 8 }, (_, i) => tokens[0] + i));
        assert.deepEqual(targets, tokens.map((token) => token + 1));
        starts.add(tokens[0]);
      }
    }
    assert.equal(Math.min(...starts), 0);
    assert.equal(Math.max(...starts), 391); // the last window has its last target at the end, as nanoGPT's
    assert.equal(dataset.vocabSize, 50_257);
    dataset.close();
  });
});

Deno.test("TextDataset batches are a pure function of (seed, step, shard, row), whatever was drawn before", async () => {
  await withFolder(async (data_dir) => {
    const one = await openDataset({ ...OPTIONS, data_dir });
    const other = await openDataset({ ...OPTIONS, data_dir });
    const batches = [createBatch(4, 8), createBatch(4, 8)];
    fc.assert(fc.property(fc.nat(1_000_000), fc.nat(2), fc.nat(99), (step, shard, index) => {
      one.trainBatch({ step, shard }, batches[0]);
      other.sampleBatch({ split: "train", index }, batches[1]);
      other.trainBatch({ step, shard }, batches[1]);
      assert.deepEqual(batches[0], batches[1]);
    }));
    one.close();
    other.close();
  });
});

Deno.test("TextDataset.sampleBatch() draws from the split asked for, another batch for each index", async () => {
  await withFolder(async (data_dir) => {
    const dataset = await openDataset({ ...OPTIONS, data_dir });
    const batch = createBatch(4, 8);
    const seen = ["train", "val"].map(() => new Set<string>());
    for (let index = 0; index < 20; index++) {
      dataset.sampleBatch({ split: "train", index }, batch);
      assert.ok(batch.tokens.every((token) => token < 400));
      seen[0].add(batch.tokens.join());
      dataset.sampleBatch({ split: "val", index }, batch);
      assert.ok(batch.tokens.every((token) => token >= 1_000));
      seen[1].add(batch.tokens.join());
    }
    assert.deepEqual(seen.map((set) => set.size), [20, 20]);
    dataset.close();
  });
});

Deno.test("TextDataset.sources names both files with their SHA-256", async () => {
  await withFolder(async (data_dir) => {
    const dataset = await openDataset({ ...OPTIONS, data_dir });
    const hash = async (name: string) => sha256(await Deno.readFile(join(data_dir, name)));
    assert.deepEqual(dataset.sources, {
      "train.bin": await hash("train.bin"),
      "val.bin": await hash("val.bin"),
    });
    dataset.close();
  });
});

Deno.test("openDataset() refuses a short validation part, nanoGPT's pickle, a broken meta.json, and no folder", async () => {
  const refuses = async (data_dir: string | null, code: string, part: string) => {
    await assert.rejects(
      openDataset({ ...OPTIONS, data_dir }),
      (error) => error instanceof LockstepError && error.code === code && error.message.includes(part),
    );
  };
  await refuses(null, "E_DATA", "--data_dir");
  await withFolder(
    (data_dir) => refuses(data_dir, "E_DATA", "val.bin as it must hold more than block_size = 8"),
    8,
  );
  await withFolder(async (data_dir) => {
    await Deno.writeTextFile(join(data_dir, "meta.pkl"), "(dp0\n.");
    await refuses(data_dir, "E_PICKLE", "docs/from_nanogpt.py");
    await Deno.writeTextFile(join(data_dir, "meta.json"), "{");
    await refuses(data_dir, "E_DATA", "as JSON");
    await Deno.writeTextFile(join(data_dir, "meta.json"), '{"tokenizer":"words"}');
    await refuses(data_dir, "E_DATA", "tokenizer");
    await refuses(join(data_dir, "train.bin"), "E_DATA", "must be a folder");
  });
});
