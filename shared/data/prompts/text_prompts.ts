import { LockstepError } from "../../errors.ts";
import { decodeAll } from "../tokenizers/decode.ts";
import type { StreamDecoder, Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Prompts } from "./prompts.ts";

const LINE_END = "\n";

/** Prompts of a text: whatever its tokenizer can encode; the numbers of nanoGPT's sample.py. */
export class TextPrompts implements Prompts {
  readonly usual = { maxNewTokens: 500, temperature: 0.8 };
  readonly arrow = "";
  readonly vocabSize: number;

  constructor(private readonly tokenizer: Tokenizer) {
    this.vocabSize = tokenizer.vocabSize;
  }

  /** nanoGPT's; the first token where a text of one line, by characters, has no such. */
  choose(): string {
    return this.#holds(LINE_END) ? LINE_END : decodeAll(this.decoder(), Int32Array.of(0));
  }

  #holds(text: string): boolean {
    try {
      return this.tokenizer.encode(text).length > 0;
    } catch (error) {
      if (error instanceof LockstepError && error.code === "E_TOKEN") return false;
      throw error;
    }
  }

  encode(prompt: string): Int32Array {
    if (prompt !== "") return Int32Array.from(this.tokenizer.encode(prompt));
    throw new LockstepError("E_USAGE", "Cannot go on from an empty text: it must have at least one token");
  }

  decoder(): StreamDecoder {
    return this.tokenizer.decoder();
  }
}
