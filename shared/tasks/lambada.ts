import type { Question } from "../data/questions/question.ts";
import type { Tokenizer } from "../data/tokenizers/tokenizer.ts";
import { meanInterval, wilsonInterval } from "../statistics.ts";
import {
  type EncodedQuestion,
  type EncodedText,
  encodeQuestions,
  fillRow,
  longestInput,
  sumRow,
} from "../data/questions/encode_questions.ts";
import type { GenerateRequest, Metric, NllRequest, Task, TaskNeeds, Totals } from "./task.ts";

export interface LambadaOptions {
  /** One continuation each. */
  readonly questions: readonly Question[];
  readonly tokenizer: Tokenizer;
  /** Passages in a batch that decodes; one that scores has about `batch_size` × `block_size` tokens. */
  readonly batch_size: number;
  readonly block_size: number;
}

/**
 * The last word of a passage: whether greedy decoding gives exactly its tokens (accuracy), and exp of the mean −log p of
 * the word (perplexity), as lm-evaluation-harness counts them. The first batches decode, the others score.
 */
export class LambadaTask implements Task {
  readonly name = "lambada";
  readonly needs: TaskNeeds;
  readonly itemCount: number;
  readonly batchCount: number;
  readonly #questions: readonly EncodedQuestion[];
  readonly #tokenizer: Tokenizer;
  /** Passages in a batch that decodes, and in one that scores. */
  readonly #sizes: { readonly decode: number; readonly score: number };
  /** Batches that decode. */
  readonly #decoding: number;
  readonly #promptLength: number;
  readonly #answerLength: number;

  constructor({ questions, tokenizer, batch_size, block_size }: LambadaOptions) {
    this.#questions = encodeQuestions(questions, { name: this.name, tokenizer });
    this.#tokenizer = tokenizer;
    this.needs = { vocabSize: tokenizer.vocabSize, length: longestInput(this.#questions) };
    const score = Math.max(1, Math.floor(batch_size * block_size / this.needs.length));
    this.#sizes = { decode: batch_size, score };
    this.#decoding = Math.ceil(questions.length / batch_size);
    const texts = this.#questions.flatMap(({ texts }) => texts);
    this.#promptLength = Math.max(...texts.map(({ from }) => from));
    this.#answerLength = Math.max(...texts.map(({ tokens, from }) => tokens.length - from));
    this.itemCount = questions.length;
    this.batchCount = this.#decoding + Math.ceil(questions.length / score);
  }

  request(batch: number): GenerateRequest | NllRequest {
    return this.#decodes(batch) ? this.#generate(batch) : this.#score(batch);
  }

  score(batch: number, output: Int32Array | Float32Array): Totals {
    const total: Totals = {};
    const add = (name: string, value: number) => total[name] = (total[name] ?? 0) + value;
    for (const [row, { tokens, from }] of this.#rows(batch).entries()) {
      if (this.#decodes(batch)) {
        const given = this.#answerAt(row, output);
        add("right", tokens.subarray(from).every((id, i) => id === given[i]) ? 1 : 0);
      } else {
        const nll = -this.likelihood({ batch, row }, output);
        add("nll", nll);
        add("squares", nll * nll);
      }
    }
    return total;
  }

  /** The word's log-likelihood in nats, of a batch that scores. */
  likelihood({ batch, row }: { batch: number; row: number }, output: Int32Array | Float32Array): number {
    return sumRow(this.#rows(batch)[row], { row, length: this.needs.length, output });
  }

  summarize({ right, nll, squares }: Totals): Metric[] {
    const n = this.itemCount;
    const { vocabSize } = this.needs;
    const counts = this.#questions.flatMap(({ texts }) =>
      texts.map(({ tokens, from }) => tokens.length - from)
    );
    const tokens = counts.reduce((sum, count) => sum + count, 0);
    const chance = counts.reduce((sum, count) => sum + vocabSize ** -count, 0);
    const { low, high } = meanInterval({ sum: nll, squares }, n);
    return [
      { name: "accuracy", value: right / n, ...wilsonInterval(right, n), chance: chance / n, n },
      {
        name: "perplexity",
        value: Math.exp(nll / n),
        low: Math.exp(low),
        high: Math.exp(high),
        chance: vocabSize ** (tokens / n),
        n,
      },
    ];
  }

  show({ batch, row }: { batch: number; row: number }, output: Int32Array): string {
    const { tokens, from } = this.#rows(batch)[row];
    const passage = this.#tokenizer.decode(tokens.subarray(0, from));
    const given = this.#tokenizer.decode(this.#answerAt(row, output).slice(0, tokens.length - from));
    const wanted = this.#tokenizer.decode(tokens.subarray(from));
    return [
      `passage …${passage.slice(-80)}`,
      `answer ${JSON.stringify(given)}`,
      ...(given === wanted ? [] : [`wanted ${JSON.stringify(wanted)}`]),
    ]
      .join("\n");
  }

  close(): void {}

  #generate(batch: number): GenerateRequest {
    const [batchSize, promptLength] = [this.#sizes.decode, this.#promptLength];
    const prompts = new Int32Array(batchSize * promptLength);
    const lengths = new Int32Array(batchSize).fill(1); // of padding
    for (const [row, { tokens, from }] of this.#rows(batch).entries()) {
      prompts.set(tokens.subarray(0, from), row * promptLength);
      lengths[row] = from;
    }
    return { kind: "generate", batchSize, promptLength, prompts, lengths, maxNewTokens: this.#answerLength };
  }

  #score(batch: number): NllRequest {
    const { length } = this.needs;
    const batchSize = this.#sizes.score;
    const tokens = new Int32Array(batchSize * length);
    const targets = new Int32Array(batchSize * length).fill(-1);
    for (const [row, text] of this.#rows(batch).entries()) fillRow(text, { row, length, tokens, targets });
    return { kind: "nll", batchSize, length, tokens, targets };
  }

  #decodes(batch: number): boolean {
    return batch < this.#decoding;
  }

  /** Fewer in the last batch that decodes, and in the last one that scores. */
  #rows(batch: number): EncodedText[] {
    const decodes = this.#decodes(batch);
    const size = decodes ? this.#sizes.decode : this.#sizes.score;
    const first = (decodes ? batch : batch - this.#decoding) * size;
    return this.#questions.slice(first, first + size).flatMap(({ texts }) => texts);
  }

  #answerAt(row: number, output: Int32Array | Float32Array): number[] {
    return Array.from(output.subarray(row * this.#answerLength, (row + 1) * this.#answerLength));
  }
}
