import assert from "node:assert/strict";
import { join } from "node:path";
import { createBatch } from "../../../shared/data/datasets/dataset.ts";
import { QuestionsDataset } from "../../../shared/data/datasets/questions_dataset.ts";
import { inTempDir } from "../temp_dir.ts";
import { writeTinyText } from "../../worker/tiny_run.ts";

const SHAPE = { seed: 1, block_size: 80, batch_size: 4, gradient_accumulation_steps: 1 };

/** Lines of SST-2 whose sentences are `names`, good where they are long. */
const lines = (names: readonly string[]) =>
  names.map((name) => `${name.length > 1 ? 1 : 0} ${name}\n`).join("");

const FILES = {
  "glue/sst2/train.txt": lines(["a", "bb", "c", "dd", "e", "twice", "again"]),
  "glue/sst2/dev.txt": lines(["x", "yy", "again"]),
  "glue/sst2/test.txt": lines(["twice", "zz"]),
  "babi/qa1_single-supporting-fact_train.txt": Array.from(
    { length: 20 },
    (_, i) => `1 Ann went ${i}.\n2 Where? \t${i % 2 === 0 ? "in" : "out"}\t1\n`,
  ).join(""),
  "babi/qa1_single-supporting-fact_test.txt": "1 Ann went 3.\n2 Where? \tout\t1\n3 Where now? \tin\t1\n",
};

async function withQuestions(
  test: (folders: { data_dir: string; task_data: string }) => Promise<void>,
): Promise<void> {
  await inTempDir(async (task_data) => {
    for (const [name, text] of Object.entries(FILES)) {
      await Deno.mkdir(join(task_data, name, ".."), { recursive: true });
      await Deno.writeTextFile(join(task_data, name), text);
    }
    const { data_dir } = await writeTinyText(task_data, "text".repeat(20), "byte");
    await test({ data_dir, task_data });
  });
}

/** The rows of `count` batches: the sentence, and the part that has targets. */
function rowsOf(count: number, fill: (index: number, into: ReturnType<typeof createBatch>) => void) {
  const batch = createBatch(SHAPE.batch_size, SHAPE.block_size);
  const text = (ids: Int32Array) => new TextDecoder().decode(Uint8Array.from(ids));
  return Array.from({ length: count }, (_, index) => {
    fill(index, batch);
    return Array.from({ length: batch.batchSize }, (_, row) => {
      const part = (of: Int32Array) => of.subarray(row * batch.length, (row + 1) * batch.length);
      return {
        asked: text(part(batch.tokens)).split("\n")[0],
        answer: text(part(batch.targets).filter((id) => id >= 0)),
      };
    });
  }).flat();
}

Deno.test("QuestionsDataset trains on answers alone, each question once an epoch, none of the dev and test parts", () =>
  withQuestions(async (folders) => {
    const dataset = await QuestionsDataset.open("glue/sst2", { ...SHAPE, ...folders });
    const rows = rowsOf(5, (step, into) => dataset.trainBatch({ step, shard: 0 }, into)); // 20 rows: 4 epochs of 5
    for (let epoch = 0; epoch < 4; epoch++) {
      const seen = rows.slice(5 * epoch, 5 * epoch + 5).map(({ asked }) => asked);
      assert.deepEqual(seen.toSorted(), ["a", "bb", "c", "dd", "e"]);
    }
    const orders = new Set(
      [0, 1, 2, 3].map((epoch) => `${rows.slice(5 * epoch, 5 * epoch + 5).map((r) => r.asked)}`),
    );
    assert.ok(orders.size > 1);
    for (const { asked, answer } of rows) {
      assert.equal(answer, asked.length > 1 ? " positive" : " negative");
    }
    const measured = rowsOf(3, (index, into) => dataset.sampleBatch({ split: "val", index }, into));
    assert.deepEqual([...new Set(measured.map(({ asked }) => asked))].toSorted(), ["again", "x", "yy"]);
    assert.equal(dataset.vocabSize, 256);
    assert.deepEqual(Object.keys(dataset.sources), [
      "glue/sst2/train.txt",
      "glue/sst2/dev.txt",
      "glue/sst2/test.txt",
      "tokenizer",
    ]);
  }));

Deno.test("QuestionsDataset keeps the end of the training part to measure by where no part is published for it", () =>
  withQuestions(async (folders) => {
    const dataset = await QuestionsDataset.open("babi/1", { ...SHAPE, ...folders });
    const trained = rowsOf(20, (step, into) => dataset.trainBatch({ step, shard: 0 }, into));
    const measured = rowsOf(20, (index, into) => dataset.sampleBatch({ split: "val", index }, into));
    const names = (rows: typeof trained) => new Set(rows.map(({ asked }) => asked));
    assert.deepEqual([...names(measured)].toSorted(), ["Ann went 18.", "Ann went 19."]);
    assert.equal(names(trained).size, 17); // 18, less the one that the test part repeats
    assert.ok(!names(trained).has("Ann went 3."));
  }));

Deno.test("QuestionsDataset refuses parts that are the same", () =>
  withQuestions(async (folders) => {
    const [train, test] = ["train", "test"].map((part) => join(folders.task_data, `glue/sst2/${part}.txt`));
    await Deno.copyFile(train, test);
    await assert.rejects(QuestionsDataset.open("glue/sst2", { ...SHAPE, ...folders }), {
      code: "E_DATA",
      message: /Cannot train on glue\/sst2 .* repeat each other$/,
    });
  }));

Deno.test("QuestionsDataset refuses questions that do not fit into the block", () =>
  withQuestions(async (folders) => {
    await assert.rejects(QuestionsDataset.open("glue/sst2", { ...SHAPE, ...folders, block_size: 16 }), {
      code: "E_CONFIG",
      message: /questions of glue\/sst2 into the block as block_size must be at least \d+: it is 16$/,
    });
  }));
