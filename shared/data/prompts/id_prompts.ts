import { LockstepError } from "../../errors.ts";
import type { StreamDecoder } from "../tokenizers/tokenizer.ts";
import type { Prompts } from "./prompts.ts";
import { numbersDecoder, readNumbers } from "./written_numbers.ts";

/** Prompts of token ids, "17 4 99", for weights that come without a tokenizer that is known here. */
export class IdPrompts implements Prompts {
  readonly usual = { maxNewTokens: 16, temperature: 0 };
  readonly arrow = " → ";

  constructor(readonly vocabSize: number) {}

  choose(): string {
    return "0";
  }

  encode(prompt: string): Int32Array {
    const { numbers, wrong } = readNumbers(prompt, this.vocabSize);
    if (wrong === undefined && numbers.length > 0) return Int32Array.from(numbers);
    throw new LockstepError(
      "E_USAGE",
      `Cannot take the prompt ${
        JSON.stringify(prompt)
      } as these weights come without a known tokenizer and read token ids, whole numbers from 0 to ` +
        `${this.vocabSize - 1} with spaces between them: ${
          wrong === undefined ? "none is given" : `${wrong} is none`
        }`,
    );
  }

  decoder(): StreamDecoder {
    return numbersDecoder();
  }
}
