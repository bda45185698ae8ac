import bytePairs from "gpt-tokenizer/bpeRanks/r50k_base";
import { encode } from "gpt-tokenizer/encoding/r50k_base";
import { byteDecoder, decodeAll, unknownId } from "./decode.ts";
import type { StreamDecoder, Tokenizer, TokenizerMeta } from "./tokenizer.ts";

/** The id of `<|endoftext|>`, which stands between documents. */
export const END_OF_TEXT = 50_256;

const MARK = "<|endoftext|>";
const MARK_BYTES = new TextEncoder().encode(MARK);
const NOTHING_SPECIAL = { disallowedSpecial: new Set<string>() };

/** GPT-2's byte pair encoding, 50,257 ids; `<|endoftext|>` anywhere in a text is its one special token. */
export class Gpt2Tokenizer implements Tokenizer {
  readonly name = "gpt2";
  readonly vocabSize = END_OF_TEXT + 1;

  encode(text: string): Uint16Array<ArrayBuffer> {
    // Cut at the marks here: gpt-tokenizer 4.0.0 finds an allowed special token at the start of a text only.
    const parts = text.split(MARK).map((part) => encode(part, NOTHING_SPECIAL));
    const ids = new Uint16Array(parts.reduce((sum, part) => sum + part.length, parts.length - 1)).fill(
      END_OF_TEXT,
    );
    let at = 0;
    for (const part of parts) {
      ids.set(part, at);
      at += part.length + 1;
    }
    return ids;
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.decoder(), ids);
  }

  decoder(): StreamDecoder {
    const utf8 = new TextEncoder();
    return byteDecoder((id) => {
      if (id === END_OF_TEXT) return MARK_BYTES;
      const pair = bytePairs[id];
      if (pair === undefined) throw unknownId(id, this);
      return typeof pair === "string" ? utf8.encode(pair) : Uint8Array.from(pair);
    });
  }

  meta(): TokenizerMeta {
    return { tokenizer: "gpt2", vocab_size: this.vocabSize };
  }
}
