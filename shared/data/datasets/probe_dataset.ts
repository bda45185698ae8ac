import { LockstepError } from "../../errors.ts";
import { CounterRandom } from "../../random.ts";
import { openProbe, type ProbeName } from "../probes/open_probe.ts";
import { itemOf, type Probe, type ProbeItem, type ProbeShape } from "../probes/probe.ts";
import { firstSample, type StepShape } from "../sampler.ts";
import type { Batch, Dataset, Split } from "./dataset.ts";

/** The part of a run's configuration that a probe's data set depends on. */
export interface ProbeOptions extends StepShape {
  readonly probe: ProbeShape;
  readonly seed: number;
  /** T, in tokens. */
  readonly block_size: number;
}

/** Prompts and answers of a probe; only answers have targets. A longer block is filled with the prompt's last id. */
export class ProbeDataset implements Dataset {
  readonly vocabSize: number;
  readonly sources = {};
  readonly #probe: Probe;
  readonly #training: CounterRandom;
  readonly #estimate: CounterRandom;

  /** Throws E_CONFIG if an item does not fit into the block. */
  constructor(name: ProbeName, private readonly options: ProbeOptions) {
    const { probe, seed, block_size } = options;
    this.#probe = openProbe(name, probe);
    const { promptLength, answerLength, vocabSize } = this.#probe;
    const needed = promptLength + answerLength - 1;
    if (block_size < needed) {
      throw new LockstepError(
        "E_CONFIG",
        `Cannot fit items of ${name} into the block as block_size must be at least ${needed} with probe.length = ` +
          `${probe.length}: it is ${block_size}`,
      );
    }
    this.vocabSize = vocabSize;
    this.#training = CounterRandom.fromSeed(seed, name, "train");
    this.#estimate = CounterRandom.fromSeed(seed, name, "estimate");
  }

  trainBatch(at: { step: number; shard: number }, into: Batch): void {
    const first = firstSample(at, this.options);
    for (let row = 0; row < into.batchSize; row++) {
      const place = { random: this.#training, index: first + row, isHeldOut: false };
      writeRow(itemOf(this.#probe, place), row, into);
    }
  }

  sampleBatch({ split, index }: { split: Split; index: number }, into: Batch): void {
    for (let row = 0; row < into.batchSize; row++) {
      const at = index * into.batchSize + row;
      const place = { random: this.#estimate, index: at, isHeldOut: split === "val" };
      writeRow(itemOf(this.#probe, place), row, into);
    }
  }

  close(): void {}
}

function writeRow({ prompt, answer }: ProbeItem, row: number, { length, tokens, targets }: Batch): void {
  const start = row * length;
  tokens.fill(prompt[prompt.length - 1], start, start + length);
  targets.fill(-1, start, start + length);
  tokens.set(prompt, start);
  tokens.set(answer.subarray(0, -1), start + prompt.length);
  targets.set(answer, start + prompt.length - 1);
}
