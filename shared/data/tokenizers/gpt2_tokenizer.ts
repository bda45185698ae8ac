import bytePairs from "gpt-tokenizer/bpeRanks/r50k_base";
import { encode } from "gpt-tokenizer/encoding/r50k_base";
import { byteDecoder, decodeAll, unknownId } from "./decode.ts";
import type { StreamDecoder, Tokenizer, TokenizerMeta } from "./tokenizer.ts";

/** The id of `<|endoftext|>`, which stands between documents. */
export const END_OF_TEXT = 50_256;

const END_OF_TEXT_BYTES = new TextEncoder().encode("<|endoftext|>");
const SPECIAL = { allowedSpecial: new Set(["<|endoftext|>"]), disallowedSpecial: new Set<string>() };

/** GPT-2's byte pair encoding (50,257 ids). `<|endoftext|>` in a text is the one special token. */
export class Gpt2Tokenizer implements Tokenizer {
  readonly name = "gpt2";
  readonly vocabSize = END_OF_TEXT + 1;

  encode(text: string): Uint16Array<ArrayBuffer> {
    return Uint16Array.from(encode(text, SPECIAL));
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.decoder(), ids);
  }

  decoder(): StreamDecoder {
    const utf8 = new TextEncoder();
    return byteDecoder((id) => {
      if (id === END_OF_TEXT) return END_OF_TEXT_BYTES;
      const pair = bytePairs[id];
      if (pair === undefined) throw unknownId(id, this);
      return typeof pair === "string" ? utf8.encode(pair) : Uint8Array.from(pair);
    });
  }

  meta(): TokenizerMeta {
    return { tokenizer: "gpt2", vocab_size: this.vocabSize };
  }
}
