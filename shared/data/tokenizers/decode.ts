import { LockstepError } from "../../errors.ts";
import type { StreamDecoder, TokenizerName } from "./tokenizer.ts";

/** A decoder over the bytes that each token stands for. */
export function byteDecoder(bytesOf: (id: number) => Uint8Array): StreamDecoder {
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: (id) => text.decode(bytesOf(id), { stream: true }),
    end: () => text.decode(),
  };
}

/** Runs all of `ids` through a fresh decoder. */
export function decodeAll(decoder: StreamDecoder, ids: Iterable<number>): string {
  const parts: string[] = [];
  for (const id of ids) parts.push(decoder.push(id));
  parts.push(decoder.end());
  return parts.join("");
}

/** The refusal of a token id outside a tokenizer's vocabulary. */
export function unknownId(id: number, of: { name: TokenizerName; vocabSize: number }): LockstepError {
  return new LockstepError(
    "E_TOKEN",
    `Cannot decode token id ${id} as the ${of.name} tokenizer's ids are below ${of.vocabSize}`,
  );
}
