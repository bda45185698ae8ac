import assert from "node:assert/strict";
import fc from "fast-check";
import type { Question } from "../../../shared/data/questions/question.ts";
import { ByteTokenizer } from "../../../shared/data/tokenizers/byte_tokenizer.ts";
import { ChoicesTask } from "../../../shared/tasks/choices.ts";
import { addTotals, type Metric, type NllRequest } from "../../../shared/tasks/task.ts";

const BASE = { name: "test", tokenizer: new ByteTokenizer(), batch_size: 2, block_size: 16 };

function task(questions: readonly Question[], batch_size = 2): ChoicesTask {
  const metrics = ["accuracy", "accuracy_norm", "matthews"] as const;
  return new ChoicesTask({ ...BASE, questions, metrics, batch_size });
}

/** A stand-in for the model: −log p of a byte, whatever comes before it; 9 nats where nothing is asked. */
function answer({ targets }: NllRequest, nll: (byte: string) => number): Float32Array {
  return Float32Array.from(targets, (id) => id < 0 ? 9 : nll(String.fromCharCode(id)));
}

function metricsOf(task: ChoicesTask, nll: (byte: string) => number): Metric[] {
  const batches = Array.from({ length: task.batchCount }, (_, batch) => batch);
  const totals = batches.map((batch) => task.score(batch, answer(task.request(batch), nll)));
  return task.summarize(addTotals(totals));
}

const valuesOf = (metrics: readonly Metric[]) => metrics.map(({ value }) => value);

Deno.test("ChoicesTask.request() asks for the continuations alone, a row each, padded at the end", () => {
  const questions = [{ context: "ab", continuations: [" c", " def"], answer: 0 }];
  const { length, batchSize, tokens, targets } = task(questions).request(0);
  assert.equal(length, 5);
  assert.equal(batchSize, 6); // two rows of 16 tokens' worth
  const text = (ids: Int32Array) => String.fromCharCode(...[...ids].map((id) => id < 0 ? 46 : id || 48));
  assert.deepEqual([0, 1, 2].map((row) => text(tokens.subarray(5 * row, 5 * row + 5))), [
    "ab 00",
    "ab de",
    "00000",
  ]);
  assert.deepEqual([0, 1, 2].map((row) => text(targets.subarray(5 * row, 5 * row + 5))), [
    ". c..",
    ". def",
    ".....",
  ]);
});

Deno.test("ChoicesTask takes the likelier continuation, and the likelier one a character", () => {
  const questions = [{ context: "q", continuations: [" a", " bbbb"], answer: 0 }];
  // Sums with the space: 4 and 9; a character: 4 and 9 / 4.
  const nll = (byte: string) => byte === "a" ? 3 : byte === "b" ? 2 : 1;
  assert.deepEqual(valuesOf(metricsOf(task(questions), nll)).slice(0, 2), [1, 0]);
  const [{ chance, n }] = metricsOf(task(questions), nll);
  assert.deepEqual([chance, n], [0.5, 1]);
});

Deno.test("ChoicesTask takes the first of equally likely continuations, as NumPy's argmax does", () => {
  const questions = [0, 1].map((answer) => ({ context: "q", continuations: [" a", " b"], answer }));
  assert.deepEqual(valuesOf(metricsOf(task(questions), () => 1)), [0.5, 0.5, 0]);
});

Deno.test("ChoicesTask gives Matthews' correlation of what was wanted and chosen", () => {
  const sentence = (text: string, answer: number) => ({ context: text, continuations: [" n", " y"], answer });
  const questions = [sentence("a", 0), sentence("b", 1), sentence("c", 1)];
  const [, , { value }] = metricsOf(task(questions), (byte) => byte === "y" ? 1 : 2);
  assert.equal(value, 0); // all are chosen "y"
});

const choices = fc.array(
  fc.record({
    context: fc.string({ minLength: 1, maxLength: 9 }),
    continuations: fc.array(fc.stringMatching(/^ [a-z]{1,4}$/), { minLength: 2, maxLength: 5 }),
  }).map((question) => ({ ...question, answer: 0 })),
  { minLength: 1, maxLength: 20 },
);

Deno.test("ChoicesTask gives the same figures for any batch size, and scores each item once", () => {
  fc.assert(fc.property(choices, fc.integer({ min: 1, max: 40 }), (questions, batchSize) => {
    const nll = (byte: string) => (byte.charCodeAt(0) * 37 % 64) / 8;
    const [one, other] = [task(questions, 1), task(questions, batchSize)];
    assert.deepEqual(metricsOf(one, nll), metricsOf(other, nll));
    const counts = Array.from(
      { length: other.batchCount },
      (_, batch) => other.likelihoods(batch, answer(other.request(batch), nll)).length,
    );
    assert.equal(counts.reduce((sum, count) => sum + count, 0), questions.length);
  }));
});
