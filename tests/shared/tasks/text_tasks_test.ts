import assert from "node:assert/strict";
import { join } from "node:path";
import { ByteTokenizer } from "../../../shared/data/tokenizers/byte_tokenizer.ts";
import { CharTokenizer } from "../../../shared/data/tokenizers/char_tokenizer.ts";
import type { Tokenizer } from "../../../shared/data/tokenizers/tokenizer.ts";
import { LambadaTask } from "../../../shared/tasks/lambada.ts";
import { openTask } from "../../../shared/tasks/open_task.ts";
import { addTotals, type Totals } from "../../../shared/tasks/task.ts";
import { inTempDir } from "../temp_dir.ts";

const OPTIONS = {
  sort: { length: 4, values: 8 },
  probe: { length: 4, values: 8 },
  seed: 1,
  eval_items: 100,
  batch_size: 2,
  block_size: 64,
};

const hash = "0".repeat(64);
const part = { tokens: 1, sha256: hash };

/** A folder with a tokenizer and a folder of task data. */
async function withFiles(
  { tokenizer, files }: { tokenizer: Tokenizer; files: Record<string, string> },
  test: (folders: { data_dir: string; task_data: string }) => Promise<void>,
): Promise<void> {
  await inTempDir(async (dir) => {
    const meta = { ...tokenizer.meta(), train: part, val: part, source: { name: "x", sha256: hash } };
    await Deno.writeTextFile(join(dir, "meta.json"), JSON.stringify(meta));
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(join(dir, name, ".."), { recursive: true });
      await Deno.writeTextFile(join(dir, name), text);
    }
    await test({ data_dir: dir, task_data: dir });
  });
}

const sentences = (count: number) => Array.from({ length: count }, (_, i) => `${i % 2} film ${i}\n`).join("");

Deno.test("openTask() spreads eval_items over a task's file, and takes all where it has fewer", async () => {
  const files = { "glue/sst2/test.txt": sentences(10) };
  await withFiles({ tokenizer: new ByteTokenizer(), files }, async (folders) => {
    const counts = await Promise.all([3, 10, 1000].map(async (eval_items) => {
      return (await openTask("glue/sst2", { ...OPTIONS, ...folders, eval_items })).itemCount;
    }));
    assert.deepEqual(counts, [3, 10, 10]);
    const task = await openTask("glue/sst2", { ...OPTIONS, ...folders, eval_items: 2 });
    const shown = Array.from({ length: task.batchCount }, (_, batch) => {
      const request = task.request(batch);
      assert.ok(request.kind === "nll");
      return new TextDecoder().decode(Uint8Array.from(request.tokens));
    }).join("");
    assert.ok(shown.includes("film 0\n") && shown.includes("film 5\n"));
  });
});

Deno.test("openTask() tells what a text task needs: the longest item in the run's own tokens", async () => {
  const files = { "glue/sst2/test.txt": sentences(4) };
  const text = "film 0\nQuestion: Is this sentence positive or negative?\nAnswer: negative";
  await withFiles({ tokenizer: new ByteTokenizer(), files }, async (folders) => {
    const task = await openTask("glue/sst2", { ...OPTIONS, ...folders });
    assert.deepEqual(task.needs, { vocabSize: 256, length: text.length - 1 });
  });
});

Deno.test("openTask() refuses a text with a character that the run's tokenizer lacks, and names the first", async () => {
  const tokenizer = new CharTokenizer("abcdefghijklmnopqrstuvwxyz .");
  const files = { "lambada_test.jsonl": '{"text":"he said no"}\n{"text":"an “odd one”"}\n' };
  await withFiles({ tokenizer, files }, async (folders) => {
    await assert.rejects(openTask("lambada", { ...OPTIONS, ...folders }), {
      code: "E_TASK",
      message: /Cannot read lambada in the model's own tokens: .*"“" \(U\+201C\)/,
    });
  });
});

Deno.test("openTask() says where the questions are when they are not there", async () => {
  await withFiles({ tokenizer: new ByteTokenizer(), files: {} }, async ({ data_dir, task_data }) => {
    const none = openTask("arc_easy", { ...OPTIONS, data_dir, task_data: null });
    await assert.rejects(none, {
      code: "E_DATA",
      message: /ARC-Easy-Test\.jsonl from https:.* pass --task_data=FOLDER/,
    });
    const missing = openTask("arc_easy", { ...OPTIONS, data_dir, task_data });
    await assert.rejects(missing, { code: "E_DATA", message: /Cannot read .*ARC-Easy-Test\.jsonl/ });
    const noTokenizer = openTask("arc_easy", { ...OPTIONS, data_dir: null, task_data });
    await assert.rejects(noTokenizer, {
      code: "E_DATA",
      message: /without a tokenizer: pass --data_dir=FOLDER/,
    });
  });
});

Deno.test("openTask() classifies a file's rows", async () => {
  const files = { "my.tsv": "s\ty\nA film\tbad\nB film\tgood\nC film\tfair\n" };
  await withFiles({ tokenizer: new ByteTokenizer(), files }, async (folders) => {
    const name = `classify:${folders.task_data}/my.tsv?text=s&label=y`;
    const task = await openTask(name, { ...OPTIONS, ...folders });
    assert.deepEqual([task.name, task.itemCount], [name, 3]);
    const batches = Array.from({ length: task.batchCount }, (_, batch) => task.request(batch));
    const totals = batches.map((request, batch) =>
      task.score(batch, new Float32Array(request.batchSize * (request.kind === "nll" ? request.length : 1)))
    );
    const metrics = task.summarize(addTotals(totals));
    assert.deepEqual(metrics.map(({ name, value, chance }) => [name, value, chance]), [
      ["accuracy", 1 / 3, 1 / 3], // all are equally likely: "bad" comes first
    ]);
  });
});

const tokenizer = new ByteTokenizer();
const PASSAGES = [
  { context: "one two", continuations: [" six"], answer: 0 },
  { context: "a longer passage", continuations: [" ten"], answer: 0 },
  { context: "three", continuations: [" seven"], answer: 0 },
];

Deno.test("LambadaTask counts a word that greedy decoding gives exactly, and the perplexity of the words", () => {
  const task = new LambadaTask({ questions: PASSAGES, tokenizer, batch_size: 2, block_size: 24 });
  assert.deepEqual(task.needs, { vocabSize: 256, length: "a longer passage te".length });
  const totals: Totals[] = [];
  for (let batch = 0; batch < task.batchCount; batch++) {
    const request = task.request(batch);
    if (request.kind === "nll") {
      const output = Float32Array.from(request.targets, (id) => id < 0 ? 0 : 0.5);
      totals.push(task.score(batch, output));
    } else {
      const { maxNewTokens, promptLength, prompts, lengths } = request;
      const answers = Array.from({ length: 2 }, (_, row) => {
        const prompt = prompts.subarray(row * promptLength, row * promptLength + (lengths?.[row] ?? 0));
        const word = new TextDecoder().decode(Uint8Array.from(prompt)) === "three" ? " seve!" : " sixty";
        return [...tokenizer.encode(word)].slice(0, maxNewTokens);
      });
      totals.push(task.score(batch, Int32Array.from(answers.flat())));
    }
  }
  const [accuracy, perplexity] = task.summarize(addTotals(totals));
  assert.equal(accuracy.value, 1 / 3); // " sixty" begins with " six"; " seve!" is not " seven"
  assert.equal(perplexity.n, 3);
  assert.ok(Math.abs(perplexity.value - Math.exp(0.5 * (4 + 4 + 6) / 3)) < 1e-9);
  assert.ok(Math.abs(perplexity.chance / 256 ** (14 / 3) - 1) < 1e-12);
});

Deno.test("LambadaTask.show() tells the passage, what was given and what was wanted", () => {
  const task = new LambadaTask({ questions: PASSAGES, tokenizer, batch_size: 2, block_size: 24 });
  const output = Int32Array.from([...tokenizer.encode(" sixty"), ...tokenizer.encode(" eleve")]);
  assert.equal(task.show({ batch: 0, row: 0 }, output), 'passage …one two\nanswer " six"');
  assert.match(task.show({ batch: 0, row: 1 }, output), /answer " ele"\nwanted " ten"$/);
});
