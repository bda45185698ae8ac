/**
 * The character by which GPT-2's vocab.json and merges.txt write each byte: itself where it is printable, else one from
 * U+0100 on. https://github.com/openai/gpt-2/blob/master/src/encoder.py (bytes_to_unicode)
 */
export const BYTE_LETTERS: readonly string[] = byteLetters();

function byteLetters(): string[] {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isShown = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(isShown ? byte : 0x100 + hidden++);
  });
}

/** Bytes as the text that stands for them in vocab.json. */
export function spellBytes(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => BYTE_LETTERS[byte]).join("");
}
