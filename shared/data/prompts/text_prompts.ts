import { LockstepError } from "../../errors.ts";
import type { StreamDecoder, Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Prompts } from "./prompts.ts";

/** Prompts of a text: whatever its tokenizer can encode; the numbers of nanoGPT's sample.py. */
export class TextPrompts implements Prompts {
  readonly usual = { maxNewTokens: 500, temperature: 0.8 };
  readonly arrow = "";
  readonly vocabSize: number;

  constructor(private readonly tokenizer: Tokenizer) {
    this.vocabSize = tokenizer.vocabSize;
  }

  choose(): string {
    return "\n";
  }

  encode(prompt: string): Int32Array {
    if (prompt !== "") return Int32Array.from(this.tokenizer.encode(prompt));
    throw new LockstepError("E_USAGE", "Cannot go on from an empty text: it must have at least one token");
  }

  decoder(): StreamDecoder {
    return this.tokenizer.decoder();
  }
}
