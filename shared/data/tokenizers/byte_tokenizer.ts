import { byteDecoder, decodeAll, unknownId } from "./decode.ts";
import type { StreamDecoder, Tokenizer, TokenizerMeta } from "./tokenizer.ts";

/** One token a byte of UTF-8: any text, 256 ids, nothing to learn from the data. */
export class ByteTokenizer implements Tokenizer {
  readonly name = "byte";
  readonly vocabSize = 256;

  encode(text: string): Uint16Array<ArrayBuffer> {
    return Uint16Array.from(new TextEncoder().encode(text));
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.decoder(), ids);
  }

  decoder(): StreamDecoder {
    return byteDecoder((id) => {
      if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) throw unknownId(id, this);
      return Uint8Array.of(id);
    });
  }

  meta(): TokenizerMeta {
    return { tokenizer: "byte", vocab_size: this.vocabSize };
  }
}
