import assert from "node:assert/strict";
import { join } from "node:path";
import { generate, type GenerateOptions } from "../../worker/generate_from_run.ts";
import { argMax } from "../../worker/generate.ts";
import { generateText } from "../../worker/generate_text.ts";
import { loadCheckpoint } from "../../worker/load_checkpoint.ts";
import type { LoadedCheckpoint } from "../../worker/loaded_checkpoint.ts";
import { type TextOptions, textRequest } from "../../worker/text_request.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { BIGRAM, chain, writeTinyRun, writeTinyText } from "./tiny_run.ts";

const LETTERS = "abcdefgh";
const sort = {
  dataset: "sort",
  sort: { length: 4, values: 12 },
  probe: { length: 4, values: 8 },
  vocab_size: 13,
};

/** Runs `work` with a model that says the letters in their order, over and over. */
async function withLetters(work: (checkpoint: LoadedCheckpoint) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    const text = await writeTinyText(dir, LETTERS.repeat(40));
    const weights = () => chain(8, (token) => (token + 1) % 8);
    const run = await writeTinyRun(join(dir, "run"), { config: { ...text, model: BIGRAM }, weights });
    await using checkpoint = await loadCheckpoint(run);
    await work(checkpoint);
  });
}

async function textOf(run: LoadedCheckpoint | string, options: GenerateOptions): Promise<string> {
  return (await Array.fromAsync(generate(run, options))).join("");
}

async function tokensOf(checkpoint: LoadedCheckpoint, options: TextOptions): Promise<number[]> {
  const request = textRequest(await checkpoint.prompts(), options);
  return (await Array.fromAsync(generateText(checkpoint, request))).map(({ token }) => token);
}

Deno.test("generate() goes on from a prompt, beyond the block, with a user's model", async () => {
  await withLetters(async (checkpoint) => {
    const greedy = { temperature: 0, maxNewTokens: 20 };
    assert.equal(await textOf(checkpoint, { ...greedy, start: "c" }), "defghabcdefghabcdefg");
    const long = "abcdefghabcdefghab"; // block_size is 8
    assert.equal(await textOf(checkpoint, { ...greedy, start: long }), "cdefghabcdefghabcdef");
  });
});

Deno.test("generate() opens a run by its folder", async () => {
  await inTempDir(async (dir) => {
    const weights = () => chain(13, (token) => (token + 1) % 13);
    const run = await writeTinyRun(join(dir, "run"), { config: { ...sort, model: BIGRAM }, weights });
    assert.equal(await textOf(run, { start: "3 1 2 0" }), "0 1 2 3");
    assert.equal(await textOf(run, { engine: "onnx" }), "0 1 2 3");
  });
});

Deno.test("generate() ends before the stop text, also where it comes token by token", async () => {
  await withLetters(async (checkpoint) => {
    const options = { start: "a", temperature: 0, maxNewTokens: 20 };
    assert.equal(await textOf(checkpoint, { ...options, stop: "fgh" }), "bcde");
    assert.equal(await textOf(checkpoint, { ...options, stop: "b" }), "");
    assert.equal(await textOf(checkpoint, { ...options, stop: "hb", maxNewTokens: 7 }), "bcdefgh");
    assert.deepEqual(await tokensOf(checkpoint, { ...options, stop: "fgh" }), [1, 2, 3, 4, 5, 6, 7]);
  });
});

Deno.test("generate() never splits a character", async () => {
  await inTempDir(async (dir) => {
    const text = await writeTinyText(dir, "é".repeat(400), "byte");
    const weights = () => chain(256, (byte) => byte === 0xc3 ? 0xa9 : 0xc3);
    const run = await writeTinyRun(join(dir, "run"), { config: { ...text, model: BIGRAM }, weights });
    const options = { start: "é", temperature: 0 };
    assert.deepEqual(await Array.fromAsync(generate(run, { ...options, maxNewTokens: 4 })), ["é", "é"]);
    assert.deepEqual(await Array.fromAsync(generate(run, { ...options, maxNewTokens: 3 })), ["é", "\uFFFD"]);
  });
});

Deno.test("generate() never takes an id that the tokenizer lacks", async () => {
  await inTempDir(async (dir) => {
    const text = await writeTinyText(dir, LETTERS.repeat(40));
    const weights = () => chain(9, () => 8);
    const run = await writeTinyRun(join(dir, "run"), {
      config: { ...text, vocab_size: 9, model: BIGRAM },
      weights,
    });
    assert.equal(await textOf(run, { start: "c", temperature: 0, maxNewTokens: 3 }), "aaa");
  });
});

Deno.test("generate() gives one seed and sample one text, whoever generates beside it", async () => {
  await inTempDir(async (dir) => {
    const text = await writeTinyText(dir, LETTERS.repeat(40));
    const run = await writeTinyRun(join(dir, "run"), { config: text });
    await using checkpoint = await loadCheckpoint(run);
    const options = { start: "abc", maxNewTokens: 12 };
    const texts = [];
    for (let sample = 0; sample < 3; sample++) texts.push(await textOf(checkpoint, { ...options, sample }));
    const beside = await Promise.all([2, 0, 1].map((sample) => textOf(checkpoint, { ...options, sample })));
    assert.deepEqual(beside, [texts[2], texts[0], texts[1]]);
    assert.equal(new Set(texts).size, 3);
    assert.notEqual(await textOf(checkpoint, { ...options, seed: 1 }), texts[0]);
  });
});

Deno.test("generateText() takes the likeliest token of the last block_size tokens at each step, on every engine", async () => {
  await inTempDir(async (dir) => {
    const text = await writeTinyText(dir, LETTERS.repeat(40));
    const config = { ...text, attention: "reflex", reflex: { heads: [1, 1, 0] }, n_embd: 16 };
    // Large weights, so that no two logits are nearly equal.
    const run = await writeTinyRun(join(dir, "run"), {
      config,
      weights: (_, { size }) => Float32Array.from({ length: size }, (_, i) => Math.sin(i * i + i) / 2),
    });
    for (const engine of ["reference", "onnx"] as const) {
      await using checkpoint = await loadCheckpoint(run, { engine });
      const expected = [0, 1, 2];
      for (let i = 0; i < 12; i++) {
        const logits = await checkpoint.logits(expected.slice(-8));
        expected.push(argMax(logits.subarray(-8)));
      }
      assert(new Set(expected).size > 3, `too dull: ${expected}`);
      const options = { start: "abc", temperature: 0, maxNewTokens: 12 };
      assert.deepEqual(await tokensOf(checkpoint, options), expected.slice(3), engine);
    }
  });
});

Deno.test("generate() refuses options out of their range and prompts that cannot be read", async () => {
  await withLetters(async (checkpoint) => {
    const refused: [TextOptions, string, RegExp][] = [
      [{ topP: 0 }, "E_CONFIG", /topP must be a number above 0 and at most 1: it is 0$/],
      [{ topP: 1.5 }, "E_CONFIG", /topP must be/],
      [{ topK: 0 }, "E_CONFIG", /topK must be a whole number of at least 1, or none: it is 0$/],
      [{ temperature: -1 }, "E_CONFIG", /temperature must be a number of at least 0: it is -1$/],
      [{ temperature: NaN }, "E_CONFIG", /temperature must be/],
      [{ maxNewTokens: 0 }, "E_CONFIG", /maxNewTokens must be a whole number of at least 1: it is 0$/],
      [{ seed: -1 }, "E_CONFIG", /seed must be/],
      [{ stop: "" }, "E_CONFIG", /stop must be/],
      [{ start: "xyz" }, "E_TOKEN", /the character "x" \(U\+0078\) at position 0/],
      [{ start: "" }, "E_USAGE", /at least one token/],
      [{}, "E_TOKEN", /the character "\\n"/],
    ];
    for (const [options, code, message] of refused) {
      await assert.rejects(textOf(checkpoint, options), { code, message }, JSON.stringify(options));
    }
  });
});
