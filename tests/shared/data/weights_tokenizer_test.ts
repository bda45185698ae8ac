import assert from "node:assert/strict";
import { join } from "node:path";
import { listDataFiles, readDataPiece } from "../../../shared/data/data_files.ts";
import { openTextTokenizer } from "../../../shared/data/tokenizers/open_text_tokenizer.ts";
import { weightsTokenizer } from "../../../shared/data/tokenizers/weights_tokenizer.ts";
import { openWeights } from "../../../shared/weights.ts";
import { hfFixture } from "../../fixtures.ts";
import { inTempDir } from "../temp_dir.ts";

const write = (dir: string, name: string, value: unknown) =>
  Deno.writeTextFile(join(dir, name), JSON.stringify(value));

Deno.test("weightsTokenizer() is what config.json describes, GPT-2's for weights of its size, and none else", () =>
  inTempDir(async (dir) => {
    assert.equal(await weightsTokenizer(dir), null);
    await write(dir, "config.json", { vocab_size: 50_304 });
    assert.deepEqual(await weightsTokenizer(dir), { tokenizer: "gpt2", vocab_size: 50_257 });
    await write(dir, "vocab.json", { a: 0, b: 1 });
    assert.equal(await weightsTokenizer(dir), null, "another vocabulary lies beside them");
    const tokenizer = { tokenizer: "char", vocab_size: 3, chars: "abc" };
    await write(dir, "config.json", { vocab_size: 3, lockstep: { dataset: "text", tokenizer } });
    assert.deepEqual(await weightsTokenizer(dir), tokenizer);
    await write(dir, "config.json", { vocab_size: 50_304, lockstep: { dataset: "sort" } });
    assert.equal(await weightsTokenizer(dir), null, "its ids are numbers to sort");
  }));

Deno.test("openTextTokenizer() reads the tokenizer beside weights, and members elsewhere are sent what describes it", () =>
  inTempDir(async (dir) => {
    const tokenizer = { tokenizer: "char", vocab_size: 3, chars: "abc" };
    await write(dir, "config.json", { vocab_size: 3, lockstep: { dataset: "text", tokenizer } });
    assert.deepEqual([...(await openTextTokenizer(dir)).encode("cab")], [2, 0, 1]);
    assert.deepEqual((await listDataFiles(dir)).map(({ name }) => name), ["config.json"]);
    const piece = await readDataPiece(dir, { file: "config.json", index: 0 });
    assert.equal(new TextDecoder().decode(piece), await Deno.readTextFile(join(dir, "config.json")));
    await assert.rejects(readDataPiece(dir, { file: "../config.json", index: 0 }), { code: "E_PATH" });
  }));

Deno.test("openWeights() names no tokenizer for weights that have none beside them", async () => {
  assert.equal((await openWeights(hfFixture("hf-gpt2-tiny"))).data_dir, null);
});
