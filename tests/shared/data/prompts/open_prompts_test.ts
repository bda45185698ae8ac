import assert from "node:assert/strict";
import { join } from "node:path";
import { openPrompts } from "../../../../shared/data/prompts/open_prompts.ts";
import { inTempDir } from "../../temp_dir.ts";
import { writeTinyText } from "../../../worker/tiny_run.ts";

const sort = { length: 4, values: 12 };

Deno.test("openPrompts() opens numbers to sort without any file", async () => {
  const prompts = await openPrompts({ dataset: "sort", sort, probe: sort, data_dir: null, vocab_size: 13 });
  assert.equal(prompts.vocabSize, 13);
  assert.deepEqual([...prompts.encode("3 1 2 0")], [3, 1, 2, 0, 12]);
});

Deno.test("openPrompts() opens the tokenizer that a text was prepared with", async () => {
  await inTempDir(async (dir) => {
    const { data_dir } = await writeTinyText(dir, "to be or not to be\n".repeat(20));
    const prompts = await openPrompts({ dataset: "text", sort, probe: sort, data_dir, vocab_size: 8 });
    assert.equal(prompts.vocabSize, 8);
    assert.equal(prompts.choose({ seed: 1, sample: 2 }), "\n");
    const decoder = prompts.decoder();
    assert.equal([...prompts.encode("not to be")].map((id) => decoder.push(id)).join(""), "not to be");
    assert.throws(() => prompts.encode("to be!"), {
      code: "E_TOKEN",
      message: /the character "!" .* position 5/,
    });
    assert.throws(() => prompts.encode(""), { code: "E_USAGE", message: /at least one token/ });
    assert.deepEqual(prompts.usual, { maxNewTokens: 500, temperature: 0.8 });
  });
});

Deno.test("openPrompts() takes GPT-2's tokens for nanoGPT's own files, which have no meta.json", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeFile(join(dir, "train.bin"), new Uint8Array(8));
    const prompts = await openPrompts({
      dataset: "text",
      sort,
      probe: sort,
      data_dir: dir,
      vocab_size: 50_304,
    });
    assert.equal(prompts.vocabSize, 50_257);
    assert.deepEqual([...prompts.encode("Hello world")], [15496, 995]);
  });
});

Deno.test("openPrompts() refuses a text whose folder is missing or whose tokens are not the model's", async () => {
  await inTempDir(async (dir) => {
    for (
      const [data_dir, message] of [
        [null, /^Cannot read text without a tokenizer: pass --data_dir=FOLDER/],
        [join(dir, "gone"), /^Cannot find the tokenizer of the text .*gone .* pass --data_dir=FOLDER$/],
      ] as const
    ) {
      await assert.rejects(openPrompts({ dataset: "text", sort, probe: sort, data_dir, vocab_size: 65 }), {
        code: "E_DATA",
        message,
      });
    }
    const { data_dir } = await writeTinyText(dir, "to be or not to be\n".repeat(20), "byte");
    await assert.rejects(openPrompts({ dataset: "text", sort, probe: sort, data_dir, vocab_size: 65 }), {
      code: "E_TOKEN",
      message: /^Cannot use the tokenizer of .* the model has 65 token ids: it has 256/,
    });
  });
});
