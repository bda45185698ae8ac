import { LockstepError } from "../../errors.ts";
import { firstSample, type StepShape } from "../sampler.ts";
import type { Batch, Dataset, Split } from "./dataset.ts";
import { SortSequences, type SortShape } from "./sort_sequences.ts";

/** The part of a run's configuration that the sort data set depends on. */
export interface SortOptions extends StepShape {
  readonly sort: SortShape;
  readonly seed: number;
  /** T, in tokens. */
  readonly block_size: number;
}

/**
 * Numbers, a separator (id = values), the same numbers sorted. The model reads the first 2 · length ids; only the
 * answer has targets. A longer block is filled with separators that no loss sees.
 */
export class SortDataset implements Dataset {
  readonly vocabSize: number;
  readonly sources = {};
  readonly #options: SortOptions;
  readonly #training: SortSequences;
  readonly #estimate: SortSequences;
  /** One sequence of numbers, reused. */
  readonly #numbers: Int32Array;

  /** Throws E_CONFIG if a sequence does not fit into the block or there are too few of them to hold some out. */
  constructor(options: SortOptions) {
    const { sort, seed, block_size } = options;
    if (block_size < 2 * sort.length) {
      throw new LockstepError(
        "E_CONFIG",
        `Cannot fit sequences to sort into the block as block_size must be at least 2 * sort.length = ` +
          `${2 * sort.length}: it is ${block_size}`,
      );
    }
    this.#options = options;
    this.vocabSize = sort.values + 1;
    this.#training = new SortSequences(sort, { seed, purpose: "train" });
    this.#estimate = new SortSequences(sort, { seed, purpose: "estimate" });
    this.#numbers = new Int32Array(sort.length);
  }

  trainBatch(at: { step: number; shard: number }, into: Batch): void {
    const first = firstSample(at, this.#options);
    for (let row = 0; row < into.batchSize; row++) {
      this.#training.fill({ split: "train", index: first + row }, this.#numbers);
      this.#writeRow(row, into);
    }
  }

  sampleBatch({ split, index }: { split: Split; index: number }, into: Batch): void {
    for (let row = 0; row < into.batchSize; row++) {
      this.#estimate.fill({ split, index: index * into.batchSize + row }, this.#numbers);
      this.#writeRow(row, into);
    }
  }

  close(): void {}

  #writeRow(row: number, into: Batch): void {
    const { length, values } = this.#options.sort;
    const start = row * into.length;
    const tokens = into.tokens.subarray(start, start + into.length);
    const targets = into.targets.subarray(start, start + into.length);
    tokens.fill(values);
    targets.fill(-1);
    tokens.set(this.#numbers);
    this.#numbers.sort();
    tokens.set(this.#numbers.subarray(0, length - 1), length + 1);
    targets.set(this.#numbers, length); // the separator, at place `length`, predicts the smallest number
  }
}
