import { LockstepError } from "../../errors.ts";
import { SortSequences, type SortShape } from "../datasets/sort_sequences.ts";
import type { StreamDecoder } from "../tokenizers/tokenizer.ts";
import type { PromptPlace, Prompts } from "./prompts.ts";
import { numbersDecoder, readNumbers } from "./written_numbers.ts";

/** Prompts of numbers to sort: as many as a sequence has, "3 1 4 …"; where none is given, held-out sequences. */
export class SortPrompts implements Prompts {
  readonly usual;
  readonly arrow = " → ";
  readonly vocabSize: number;

  constructor(private readonly shape: SortShape) {
    this.usual = { maxNewTokens: shape.length, temperature: 0 };
    this.vocabSize = shape.values + 1;
  }

  choose({ seed, sample }: PromptPlace): string {
    const numbers = new Int32Array(this.shape.length);
    new SortSequences(this.shape, { seed, purpose: "sample" }).fill({ split: "val", index: sample }, numbers);
    return numbers.join(" ");
  }

  /** The numbers, then the separator (id = values). */
  encode(prompt: string): Int32Array {
    const { length, values } = this.shape;
    const { numbers, wrong } = readNumbers(prompt, values);
    if (wrong === undefined && numbers.length === length) {
      return Int32Array.from([...numbers, values]);
    }
    const given = wrong === undefined ? `${numbers.length} were given` : `${JSON.stringify(wrong)} is none`;
    throw new LockstepError(
      "E_USAGE",
      `Cannot sort ${JSON.stringify(prompt)} as this model takes exactly ${length} whole numbers from 0 to ` +
        `${values - 1}, with spaces between them: ${given}`,
    );
  }

  /** A separator, which no answer should have, comes out as "|". */
  decoder(): StreamDecoder {
    return numbersDecoder((id) => id === this.shape.values ? "|" : String(id));
  }
}
