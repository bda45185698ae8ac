import assert from "node:assert/strict";
import fc from "fast-check";
import { openTokenizer as openExported } from "../../../worker/export/files/tokenizer.mjs";
import { Gpt2Tokenizer } from "../../../shared/data/tokenizers/gpt2_tokenizer.ts";
import { hfTokenizerFiles } from "../../../shared/data/tokenizers/hf_tokenizer_files.ts";
import { sha256 } from "../../../shared/hash.ts";
import { needing, python } from "../../python.ts";
import { inTempDir } from "../temp_dir.ts";
import { join } from "node:path";

const GPT2 = new Gpt2Tokenizer();
const files = await hfTokenizerFiles(GPT2.meta());

Deno.test("hfTokenizerFiles() of gpt2: merges.txt is OpenAI's to the byte, vocab.json has its ids", () => {
  // The hash that tiktoken names for OpenAI's vocab.bpe.
  assert.equal(
    sha256(files["merges.txt"]),
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
  );
  const ids: Record<string, number> = JSON.parse(files["vocab.json"]);
  assert.deepEqual([ids["!"], ids["Ġthe"], ids["Ċ"], ids["<|endoftext|>"]], [0, 262, 198, 50256]);
  assert.equal(Object.keys(ids).length, 50257);
});

Deno.test("openTokenizer() of an export reads vocab.json and merges.txt as Gpt2Tokenizer does", async () => {
  const tokenizer = await openExported(
    { lockstep: { dataset: "text", tokenizer: GPT2.meta() }, vocab_size: 50257 },
    (name) => Promise.resolve(files[name]),
  );
  const words = fc.constantFrom(
    "the",
    " ",
    "  ",
    "\n",
    "It's",
    "né",
    "鯨",
    "12345",
    "?!",
    "\t",
    "<|endoftext|>",
    "🐋",
  );
  fc.assert(fc.property(fc.array(fc.oneof(words, fc.string({ unit: "grapheme", maxLength: 6 }))), (parts) => {
    const text = parts.join("");
    assert.deepEqual(tokenizer.encode(text), [...GPT2.encode(text)]);
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }));
});

Deno.test({
  ...await needing(
    ["tokenizers"],
    "hfTokenizerFiles() of gpt2: the tokenizers package reads tokenizer.json as Gpt2Tokenizer does",
  ),
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.writeTextFile(join(dir, "tokenizer.json"), files["tokenizer.json"]);
      const text = "Hello, world! It's  né 鯨\n\n  12345<|endoftext|>x";
      const encode =
        "import sys, tokenizers; print(*tokenizers.Tokenizer.from_file(sys.argv[1]).encode(sys.argv[2]).ids)";
      const { out, err } = await python(["-c", encode, join(dir, "tokenizer.json"), text]);
      assert.equal(out.trim(), GPT2.encode(text).join(" "), err);
    }),
});
