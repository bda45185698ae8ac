import { join } from "node:path";
import { CounterRandom } from "../../random.ts";
import { DATA_FILES, readDataParts } from "../data_meta.ts";
import { firstSample, type StepShape } from "../sampler.ts";
import { TokenFile } from "../token_file.ts";
import type { Batch, Dataset, Split } from "./dataset.ts";

/** The part of a run's configuration that a text data set depends on. */
export interface TextOptions extends StepShape {
  /** Folder of `train.bin`, `val.bin` and, unless they are nanoGPT's with GPT-2 tokens, `meta.json`. */
  readonly data_dir: string;
  readonly seed: number;
  /** T, in tokens. */
  readonly block_size: number;
}

/** Random windows of a text, as nanoGPT draws them: T tokens from anywhere, the targets one further. */
export class TextDataset implements Dataset {
  readonly vocabSize: number;
  readonly sources: Readonly<Record<string, string>>;
  readonly #options: TextOptions;
  readonly #files: Readonly<Record<Split, TokenFile>>;
  readonly #training: CounterRandom;
  readonly #estimate: Readonly<Record<Split, CounterRandom>>;
  /** One window and the token after it, reused. */
  readonly #window: Uint16Array<ArrayBuffer>;

  private constructor(
    options: TextOptions,
    { vocabSize, files }: { vocabSize: number; files: Record<Split, TokenFile> },
  ) {
    this.vocabSize = vocabSize;
    this.sources = { [DATA_FILES.train]: files.train.sha256, [DATA_FILES.val]: files.val.sha256 };
    this.#options = options;
    this.#files = files;
    this.#training = CounterRandom.fromSeed(options.seed, "text", "train");
    this.#estimate = {
      train: CounterRandom.fromSeed(options.seed, "text", "estimate", "train"),
      val: CounterRandom.fromSeed(options.seed, "text", "estimate", "val"),
    };
    this.#window = new Uint16Array(options.block_size + 1);
  }

  /** Opens and checks both files of a folder. Throws E_DATA, E_TOKEN or E_PICKLE, see {@link TokenFile.open}. */
  static async open(options: TextOptions): Promise<TextDataset> {
    const parts = await readDataParts(options.data_dir);
    const { vocabSize } = parts;
    const openPart = (split: Split) =>
      TokenFile.open(join(options.data_dir, DATA_FILES[split]), {
        vocabSize,
        least: options.block_size + 1,
        expected: parts[split],
      });
    const train = await openPart("train");
    try {
      return new TextDataset(options, { vocabSize, files: { train, val: await openPart("val") } });
    } catch (error) {
      train.close();
      throw error;
    }
  }

  trainBatch(at: { step: number; shard: number }, into: Batch): void {
    this.#draw({ split: "train", random: this.#training, first: firstSample(at, this.#options) }, into);
  }

  sampleBatch({ split, index }: { split: Split; index: number }, into: Batch): void {
    this.#draw({ split, random: this.#estimate[split], first: index * into.batchSize }, into);
  }

  close(): void {
    this.#files.train.close();
    this.#files.val.close();
  }

  /** Fills `into` with the windows of samples `first` and on. */
  #draw(from: { split: Split; random: CounterRandom; first: number }, into: Batch): void {
    const file = this.#files[from.split];
    const length = into.length;
    for (let row = 0; row < into.batchSize; row++) {
      file.read(from.random.below(file.length - length, from.first + row), this.#window);
      into.tokens.set(this.#window.subarray(0, length), row * length);
      into.targets.set(this.#window.subarray(1), row * length);
    }
  }
}
