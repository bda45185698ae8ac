import type { Question } from "../data/questions/question.ts";
import type { Tokenizer } from "../data/tokenizers/tokenizer.ts";
import { matthews, wilsonInterval } from "../statistics.ts";
import {
  type EncodedQuestion,
  encodeQuestions,
  fillRow,
  longestInput,
  sumRow,
} from "../data/questions/encode_questions.ts";
import type { Metric, NllRequest, Task, TaskNeeds, Totals } from "./task.ts";

/** What a choice task tells. `matthews` is for two continuations, of which the second is the positive one. */
export type ChoiceMetric = "accuracy" | "accuracy_norm" | "matthews";

export interface ChoicesOptions {
  readonly name: string;
  readonly questions: readonly Question[];
  readonly tokenizer: Tokenizer;
  readonly metrics: readonly ChoiceMetric[];
  /** A batch has about `batch_size` × `block_size` tokens. */
  readonly batch_size: number;
  readonly block_size: number;
}

/**
 * Chooses the continuation with the largest summed log-likelihood: by itself, and divided by its length in characters, as
 * lm-evaluation-harness does (`acc`, `acc_norm`).
 */
export class ChoicesTask implements Task {
  readonly name: string;
  readonly needs: TaskNeeds;
  readonly itemCount: number;
  readonly batchCount: number;
  readonly #questions: readonly EncodedQuestion[];
  readonly #metrics: readonly ChoiceMetric[];
  readonly #batches: readonly (readonly EncodedQuestion[])[];
  /** B: continuations in a batch. */
  readonly #rows: number;

  constructor({ name, questions, tokenizer, metrics, batch_size, block_size }: ChoicesOptions) {
    this.name = name;
    this.#metrics = metrics;
    this.#questions = encodeQuestions(questions, { name, tokenizer });
    this.needs = { vocabSize: tokenizer.vocabSize, length: longestInput(this.#questions) };
    const most = Math.max(...questions.map(({ continuations }) => continuations.length));
    this.#rows = Math.max(most, Math.floor(batch_size * block_size / this.needs.length));
    this.#batches = pack(this.#questions, this.#rows);
    this.itemCount = questions.length;
    this.batchCount = this.#batches.length;
  }

  request(batch: number): NllRequest {
    const { length } = this.needs;
    const tokens = new Int32Array(this.#rows * length);
    const targets = new Int32Array(this.#rows * length).fill(-1);
    this.#batches[batch].flatMap(({ texts }) => texts)
      .forEach((text, row) => fillRow(text, { row, length, tokens, targets }));
    return { kind: "nll", batchSize: this.#rows, length, tokens, targets };
  }

  /** By item of a batch: each continuation's log-likelihood in nats. */
  likelihoods(batch: number, output: Int32Array | Float32Array): number[][] {
    const { length } = this.needs;
    let row = 0;
    return this.#batches[batch].map(({ texts }) =>
      texts.map((text) => sumRow(text, { row: row++, length, output }))
    );
  }

  score(batch: number, output: Int32Array | Float32Array): Totals {
    const total: Totals = { items: 0, right: 0, right_norm: 0 };
    this.likelihoods(batch, output).forEach((likelihoods, i) => {
      const { continuations, answer } = this.#batches[batch][i].question;
      const chosen = largest(likelihoods);
      const ofCharacter = likelihoods.map((sum, choice) => sum / characters(continuations[choice]));
      total.items++;
      total.right += chosen === answer ? 1 : 0;
      total.right_norm += largest(ofCharacter) === answer ? 1 : 0;
      const pair = `wanted ${answer} chosen ${chosen}`;
      total[pair] = (total[pair] ?? 0) + 1;
    });
    return total;
  }

  summarize(total: Totals): Metric[] {
    const chance = this.#questions.reduce((sum, { texts }) => sum + 1 / texts.length, 0) / this.itemCount;
    return this.#metrics.map((name) =>
      name === "matthews" ? correlation(total) : share(name, { total, chance })
    );
  }

  close(): void {}
}

/** Questions in order, as many a batch as have `rows` continuations together. */
function pack(questions: readonly EncodedQuestion[], rows: number): EncodedQuestion[][] {
  const batches: EncodedQuestion[][] = [];
  let free = 0;
  for (const question of questions) {
    const count = question.texts.length;
    if (count > free) {
      batches.push([]);
      free = rows;
    }
    batches[batches.length - 1].push(question);
    free -= count;
  }
  return batches;
}

/** Index of the largest; of equal ones the first. */
function largest(values: readonly number[]): number {
  return values.reduce((best, value, i) => value > values[best] ? i : best, 0);
}

/** Code points, without the space that parts it from the context. */
function characters(continuation: string): number {
  return [...continuation.trimStart()].length;
}

function share(
  name: "accuracy" | "accuracy_norm",
  { total, chance }: { total: Totals; chance: number },
): Metric {
  const n = total.items;
  const right = name === "accuracy" ? total.right : total.right_norm;
  return { name, value: right / n, ...wilsonInterval(right, n), chance, n };
}

function correlation(total: Totals): Metric {
  const count = (wanted: number, chosen: number) => total[`wanted ${wanted} chosen ${chosen}`] ?? 0;
  const counts = [[count(0, 0), count(0, 1)], [count(1, 0), count(1, 1)]] as const;
  return { name: "matthews", ...matthews(counts), chance: 0, n: total.items };
}
