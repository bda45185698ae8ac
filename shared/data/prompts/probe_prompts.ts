import { LockstepError } from "../../errors.ts";
import { CounterRandom } from "../../random.ts";
import { openProbe, type ProbeName } from "../probes/open_probe.ts";
import { itemOf, type Probe, type ProbeShape } from "../probes/probe.ts";
import type { StreamDecoder } from "../tokenizers/tokenizer.ts";
import type { PromptPlace, Prompts } from "./prompts.ts";
import { numbersDecoder, readNumbers } from "./written_numbers.ts";

/** Prompts of a probe, as ids with spaces between them; where none is given, held-out items. */
export class ProbePrompts implements Prompts {
  readonly usual;
  readonly arrow = " → ";
  readonly vocabSize: number;
  readonly #probe: Probe;

  constructor(private readonly name: ProbeName, shape: ProbeShape) {
    this.#probe = openProbe(name, shape);
    this.vocabSize = this.#probe.vocabSize;
    this.usual = { maxNewTokens: this.#probe.answerLength, temperature: 0 };
  }

  choose({ seed, sample }: PromptPlace): string {
    const random = CounterRandom.fromSeed(seed, this.name, "sample");
    return itemOf(this.#probe, { random, index: sample, isHeldOut: true }).prompt.join(" ");
  }

  encode(prompt: string): Int32Array {
    const { numbers, wrong } = readNumbers(prompt, this.vocabSize);
    if (wrong === undefined && numbers.length > 0) return Int32Array.from(numbers);
    throw new LockstepError(
      "E_USAGE",
      `Cannot take the prompt ${
        JSON.stringify(prompt)
      } as a model of ${this.name} reads whole numbers from 0 to ` +
        `${this.vocabSize - 1}, with spaces between them: ${
          wrong === undefined ? "none is given" : `${wrong} is none`
        }`,
    );
  }

  decoder(): StreamDecoder {
    return numbersDecoder();
  }
}
