import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteTokenizer } from "../../../shared/data/tokenizers/byte_tokenizer.ts";
import { CharTokenizer } from "../../../shared/data/tokenizers/char_tokenizer.ts";
import { END_OF_TEXT, Gpt2Tokenizer } from "../../../shared/data/tokenizers/gpt2_tokenizer.ts";
import { openTokenizer } from "../../../shared/data/tokenizers/open_tokenizer.ts";
import type { Tokenizer } from "../../../shared/data/tokenizers/tokenizer.ts";
import { LockstepError } from "../../../shared/errors.ts";

const TOKENIZERS: Record<string, (text: string) => Tokenizer | Promise<Tokenizer>> = {
  CharTokenizer: (text) => CharTokenizer.fromTexts([text, "x"]),
  ByteTokenizer: () => new ByteTokenizer(),
  Gpt2Tokenizer: () => new Gpt2Tokenizer(),
};

for (const [name, make] of Object.entries(TOKENIZERS)) {
  Deno.test(`${name} decodes what it encodes, at once and as a stream, for any well-formed text`, async () => {
    const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string());
    await fc.assert(fc.asyncProperty(texts, async (text) => {
      const tokenizer = await make(text);
      const ids = tokenizer.encode(text);
      assert.ok(ids.every((id) => id < tokenizer.vocabSize));
      assert.equal(tokenizer.decode(ids), text);
      const decoder = tokenizer.decoder();
      const parts = Array.from(ids, (id) => decoder.push(id));
      assert.ok(parts.every((part) => part.isWellFormed()));
      assert.equal(parts.join("") + decoder.end(), text);
    }));
  });

  Deno.test(`${name}.meta() is enough to open it again`, async () => {
    const tokenizer = await make("añ𝄞");
    const again = await openTokenizer(JSON.parse(JSON.stringify(tokenizer.meta())));
    assert.deepEqual(again.encode("añ𝄞"), tokenizer.encode("añ𝄞"));
    assert.deepEqual(again.meta(), tokenizer.meta());
  });

  Deno.test(`${name}.decode() refuses an id outside its vocabulary`, async () => {
    const tokenizer = await make("ab");
    for (const id of [tokenizer.vocabSize, -1, 1.5]) {
      assert.throws(
        () => tokenizer.decode([id]),
        (error) =>
          error instanceof LockstepError && error.code === "E_TOKEN" && error.message.includes(`id ${id} `),
      );
    }
  });
}

Deno.test("CharTokenizer gives ids in code point order, as nanoGPT's shakespeare_char", async () => {
  const tokenizer = await CharTokenizer.fromTexts(["\u{1D11E}b\uFF5E", "\na b"]);
  assert.equal(tokenizer.meta().chars, "\n ab\uFF5E\u{1D11E}"); // UTF-16 order would put the last before the second last
  assert.deepEqual([...tokenizer.encode("\u{1D11E}a\uFF5E")], [5, 2, 4]);
});

Deno.test("CharTokenizer.encode() names the unknown character and its position", () => {
  const tokenizer = new CharTokenizer("ab\u{1D11E}");
  assert.throws(
    () => tokenizer.encode("a\u{1D11E}b€"),
    (error) =>
      error instanceof LockstepError && error.code === "E_TOKEN" &&
      error.message.includes('"€" (U+20AC) at position 3'),
  );
});

Deno.test("CharTokenizer refuses an empty or repeated alphabet", () => {
  assert.throws(() => new CharTokenizer(""), LockstepError);
  assert.throws(() => new CharTokenizer("aba"), /got 3, 2 of them different/);
});

Deno.test("ByteTokenizer.decoder() holds bytes back until a character is whole", () => {
  const decoder = new ByteTokenizer().decoder();
  assert.deepEqual([0xe2, 0x82, 0xac, 0x61, 0xe2].map((id) => decoder.push(id)), ["", "", "€", "a", ""]);
  assert.equal(decoder.end(), "\uFFFD");
});

// What OpenAI's own encoder gives (vocab.bpe and encoder.json of GPT-2).
const GPT2_KNOWN: [string, number[]][] = [
  ["Hello world", [15496, 995]],
  ["<|endoftext|>", [END_OF_TEXT]],
  ["hi<|endoftext|>\n", [5303, END_OF_TEXT, 198]],
  ["\n\nROMEO:", [198, 198, 33676, 4720, 25]],
];

Deno.test("Gpt2Tokenizer.encode() gives GPT-2's own ids", () => {
  const tokenizer = new Gpt2Tokenizer();
  for (const [text, ids] of GPT2_KNOWN) assert.deepEqual([...tokenizer.encode(text)], ids);
});

Deno.test("openTokenizer() refuses a vocabulary size that is not the tokenizer's", async () => {
  await assert.rejects(
    openTokenizer({ tokenizer: "byte", vocab_size: 50_257 }),
    /must be 256: meta.json says 50257/,
  );
});
