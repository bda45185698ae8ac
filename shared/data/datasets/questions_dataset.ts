import { LockstepError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import { CounterRandom } from "../../random.ts";
import { type EncodedText, encodeQuestions, fillRow, longestInput } from "../questions/encode_questions.ts";
import type { Question } from "../questions/question.ts";
import { type QuestionSetName, readQuestions } from "../questions/read_questions.ts";
import { firstSample, type StepShape } from "../sampler.ts";
import { openTextTokenizer } from "../tokenizers/open_text_tokenizer.ts";
import type { Batch, Dataset, Split } from "./dataset.ts";

/** The collections that have a part to learn from. */
export const QUESTION_DATASETS = [
  "arc_easy",
  "babi/1",
  "babi/2",
  "babi/5",
  "glue/cola",
  "glue/sst2",
] as const satisfies QuestionSetName[];

export type QuestionDatasetName = typeof QUESTION_DATASETS[number];

/** The part of a run's configuration that such a data set depends on. */
export interface QuestionsOptions extends StepShape {
  /** Folder of the questions' files. */
  readonly task_data: string | null;
  /** Folder of the text whose tokenizer reads them. */
  readonly data_dir: string | null;
  readonly seed: number;
  /** T, in tokens. */
  readonly block_size: number;
}

/** Where no part is published for it, this share of the training part, its end, is kept to measure by. */
const HELD_OUT = 0.1;

/** The right answers with their questions, encoded. */
type Texts = Readonly<Record<Split, readonly EncodedText[]>>;

/**
 * Questions with their right answers, to fine-tune on: only answers have targets. Each epoch sees every question of the
 * training part once, in another order; those that the dev or the test part repeats are left out, and the test part is
 * not measured by.
 */
export class QuestionsDataset implements Dataset {
  readonly vocabSize: number;
  readonly sources: Readonly<Record<string, string>>;
  readonly #texts: Texts;
  readonly #training: CounterRandom;
  readonly #estimate: CounterRandom;

  private constructor(
    private readonly options: QuestionsOptions,
    { vocabSize, sources, texts }: Pick<Dataset, "vocabSize" | "sources"> & { texts: Texts },
  ) {
    this.vocabSize = vocabSize;
    this.sources = sources;
    this.#texts = texts;
    this.#training = CounterRandom.fromSeed(options.seed, "questions", "train");
    this.#estimate = CounterRandom.fromSeed(options.seed, "questions", "estimate");
  }

  /**
   * Reads and encodes the questions. Throws E_DATA where files are missing or wrong, E_TASK for a character that the tokenizer
   * does not know, E_CONFIG if a question does not fit into the block.
   */
  static async open(name: QuestionDatasetName, options: QuestionsOptions): Promise<QuestionsDataset> {
    const tokenizer = await openTextTokenizer(options.data_dir);
    const folder = options.task_data;
    const [train, dev, test] = await Promise.all(
      (["train", "dev", "test"] as const).map((part) => readQuestions(name, { part, folder })),
    );
    const encoded = (questions: readonly Question[]) => {
      const answered = questions.map(({ context, continuations, answer }) => ({
        context,
        continuations: [continuations[answer]],
        answer: 0,
      }));
      const all = encodeQuestions(answered, { name, tokenizer });
      refuseTooLong(name, { needed: longestInput(all), block_size: options.block_size });
      return all.flatMap(({ texts }) => texts);
    };
    const parts = divide({ train: train.questions, dev: dev.questions, test: test.questions });
    if (parts.train.length === 0 || parts.val.length === 0) {
      throw new LockstepError(
        "E_DATA",
        `Cannot train on ${name} as questions must be left to learn and to measure by: the files in ${folder} repeat each other`,
      );
    }
    const texts = { train: encoded(parts.train), val: encoded(parts.val) };
    const tokens = sha256(JSON.stringify(tokenizer.meta()));
    const sources = { ...train.sources, ...dev.sources, ...test.sources, tokenizer: tokens };
    return new QuestionsDataset(options, { vocabSize: tokenizer.vocabSize, sources, texts });
  }

  trainBatch(at: { step: number; shard: number }, into: Batch): void {
    const first = firstSample(at, this.options);
    const size = this.#texts.train.length;
    this.#fill(into, "train", (row) => {
      const epoch = Math.floor((first + row) / size);
      return this.#training.derive(`${epoch}`).permute((first + row) % size, size);
    });
  }

  sampleBatch({ split, index }: { split: Split; index: number }, into: Batch): void {
    const size = this.#texts[split].length;
    const first = index * into.batchSize;
    this.#fill(into, split, (row) => this.#estimate.permute((first + row) % size, size));
  }

  close(): void {}

  #fill(into: Batch, split: Split, indexOf: (row: number) => number): void {
    into.tokens.fill(0);
    into.targets.fill(-1);
    for (let row = 0; row < into.batchSize; row++) {
      fillRow(this.#texts[split][indexOf(row)], { ...into, row });
    }
  }
}

/** What is learned from and what is measured by, which share no question with each other nor with the test part. */
function divide(
  { train, dev, test }: Record<"train" | "dev" | "test", Question[]>,
): Record<Split, Question[]> {
  const cut = dev.length > 0 ? train.length : Math.ceil(train.length * (1 - HELD_OUT));
  const val = without(dev.length > 0 ? dev : train.slice(cut), test);
  return { train: without(train.slice(0, cut), [...val, ...test]), val };
}

function without(questions: readonly Question[], others: readonly Question[]): Question[] {
  const keyOf = ({ context, continuations }: Question) => `${context}\n${continuations}`;
  const kept = new Set(others.map(keyOf));
  return questions.filter((question) => !kept.has(keyOf(question)));
}

function refuseTooLong(
  name: string,
  { needed, block_size }: { needed: number; block_size: number },
): void {
  if (needed <= block_size) return;
  throw new LockstepError(
    "E_CONFIG",
    `Cannot fit the questions of ${name} into the block as block_size must be at least ${needed}: it is ${block_size}`,
  );
}
