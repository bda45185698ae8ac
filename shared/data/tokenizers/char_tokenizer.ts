import { LockstepError } from "../../errors.ts";
import { decodeAll, unknownId } from "./decode.ts";
import type { StreamDecoder, Tokenizer, TokenizerMeta } from "./tokenizer.ts";

/** Ids are stored in two bytes. */
const MOST_CHARACTERS = 65_536;

/** One token a character (Unicode code point), as nanoGPT's shakespeare_char: ids follow the order of `chars`. */
export class CharTokenizer implements Tokenizer {
  readonly name = "char";
  readonly vocabSize: number;
  readonly #chars: string[];
  /** Code point → id. */
  readonly #ids = new Map<number, number>();

  /** Throws E_TOKEN if `chars` is empty, has a character twice, or has more than 65,536. */
  constructor(chars: string) {
    this.#chars = [...chars];
    this.vocabSize = this.#chars.length;
    for (const [id, char] of this.#chars.entries()) this.#ids.set(codePoint(char), id);
    if (this.#ids.size !== this.vocabSize || this.vocabSize === 0 || this.vocabSize > MOST_CHARACTERS) {
      throw new LockstepError(
        "E_TOKEN",
        `Cannot make a character tokenizer as it needs 1 to ${MOST_CHARACTERS} different characters: ` +
          `got ${this.vocabSize}, ${this.#ids.size} of them different`,
      );
    }
  }

  /** The tokenizer of all characters in `texts`, in code point order as Python sorts them. */
  static async fromTexts(texts: AsyncIterable<string> | Iterable<string>): Promise<CharTokenizer> {
    const seen = new Set<string>();
    for await (const text of texts) {
      for (const char of text) seen.add(char);
    }
    return new CharTokenizer([...seen].sort((a, b) => codePoint(a) - codePoint(b)).join(""));
  }

  encode(text: string): Uint16Array<ArrayBuffer> {
    const ids = new Uint16Array(text.length); // at most one id a code unit
    let count = 0;
    for (let at = 0; at < text.length; count++) {
      const point = text.codePointAt(at) ?? 0;
      const id = this.#ids.get(point);
      if (id === undefined) throw unknownCharacter(String.fromCodePoint(point), count);
      ids[count] = id;
      at += point > 0xffff ? 2 : 1;
    }
    return ids.slice(0, count);
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.decoder(), ids);
  }

  decoder(): StreamDecoder {
    const push = (id: number) => {
      const char = this.#chars[id];
      if (char === undefined) throw unknownId(id, this);
      return char;
    };
    return { push, end: () => "" };
  }

  meta(): TokenizerMeta {
    return { tokenizer: "char", vocab_size: this.vocabSize, chars: this.#chars.join("") };
  }
}

function codePoint(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function unknownCharacter(char: string, position: number): LockstepError {
  const hex = codePoint(char).toString(16).toUpperCase().padStart(4, "0");
  return new LockstepError(
    "E_TOKEN",
    `Cannot encode the character ${
      JSON.stringify(char)
    } (U+${hex}) at position ${position} as the text that the ` +
      `tokenizer was made from does not hold it`,
  );
}
