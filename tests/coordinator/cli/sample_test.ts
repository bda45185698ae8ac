import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../../../coordinator/cli/main.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { BIGRAM, chain, writeTinyRun, writeTinyText } from "../../worker/tiny_run.ts";

const PROGRAM = fileURLToPath(new URL("../../../mod.ts", import.meta.url));
const LINE = "---------------\n";
const sort = {
  dataset: "sort",
  sort: { length: 4, values: 12 },
  probe: { length: 4, values: 8 },
  vocab_size: 13,
  model: BIGRAM,
};
const counting = () => chain(13, (token) => (token + 1) % 13);

/** Runs the program in this process, which is enough where nothing is written to standard output. */
async function refusal(...words: string[]): Promise<{ status: number; err: string }> {
  let err = "";
  const output = { out: () => {}, err: (line: string) => void (err += line) };
  return { status: await main(["sample", ...words], { output }), err };
}

async function sample(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", PROGRAM, "sample", ...words] });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { status: code, out: text(stdout), err: text(stderr) };
}

/** A run on a text of letters that says them in their order. */
async function writeLetters(dir: string): Promise<string> {
  const text = await writeTinyText(dir, "abcdefg\n".repeat(40)); // ids: \n is 0, a is 1, …
  const weights = () => chain(8, (token) => (token + 1) % 8);
  return await writeTinyRun(join(dir, "run"), { config: { ...text, model: BIGRAM }, weights, steps: [2, 4] });
}

Deno.test("sample prints prompt and text of each sample with nanoGPT's line after it", async () => {
  await inTempDir(async (dir) => {
    const run = await writeLetters(dir);
    const { status, out, err } = await sample(run, "--num-samples=2", "--max-new-tokens=10");
    assert.equal(status, 0, err);
    assert.equal(out, `\nabcdefg\nab\n${LINE}`.repeat(2));
    assert.equal(err, "");
  });
});

Deno.test("sample takes a prompt from a file, stops before a text, and warns of a damaged checkpoint", async () => {
  await inTempDir(async (dir) => {
    const run = await writeLetters(dir);
    await Deno.writeTextFile(join(dir, "prompt.txt"), "cd");
    await Deno.truncate(join(run, "checkpoints", "step-00000004", "model.safetensors"), 100);
    const words = [`--start=FILE:${join(dir, "prompt.txt")}`, "--stop=a", "--temperature=0"];
    const { status, out, err } = await sample(run, ...words);
    assert.equal(status, 0, err);
    assert.equal(out, `cdefg\n\n${LINE}`); // all samples would be the same: one
    assert.match(err, /^warning E_CHECKPOINT_CORRUPT: .*step-00000004.*\n$/);
  });
});

Deno.test("sample sorts held-out numbers, one line of JSON each", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: sort, weights: counting });
    const { status, out, err } = await sample(run, "--json", "--engine=onnx");
    assert.equal(status, 0, err);
    const samples = out.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.equal(samples.length, 10);
    assert.equal(new Set(samples.map(({ prompt }) => prompt)).size, 10);
    for (const { prompt, text, tokens } of samples) {
      assert.match(prompt, /^\d+ \d+ \d+ \d+$/);
      assert.deepEqual({ text, tokens }, { text: "0 1 2 3", tokens: [0, 1, 2, 3] });
    }
  });
});

Deno.test("sample sorts the numbers it is given, once", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: sort, weights: counting });
    const { out, err } = await sample(run, "--start", "3 1 2 0");
    assert.equal(out, `3 1 2 0 → 0 1 2 3\n${LINE}`, err);
  });
});

Deno.test("sample ends quietly when nobody reads on", async () => {
  await inTempDir(async (dir) => {
    const run = await writeLetters(dir);
    const args = ["run", "-A", PROGRAM, "sample", run, "--max_new_tokens=1000000"];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    const err = await new Response(child.stderr).text();
    assert.equal(err, "");
    assert.equal((await child.status).code, 0);
  });
});

Deno.test("sample refuses wrong usage with status 2 and one sentence", async () => {
  await inTempDir(async (dir) => {
    const run = await writeTinyRun(join(dir, "run"), { config: sort, weights: counting });
    const refused: [string[], RegExp][] = [
      [[], /^error E_USAGE: Cannot sample as the folder of one run is required, .*: given are 0$/],
      [[run, run], /given are 2$/],
      [[run, "--start=3 1 4"], /^error E_USAGE: Cannot sort "3 1 4" as .* exactly 4 whole .*: 3 were given$/],
      [
        [run, `--start=FILE:${dir}/gone`],
        /^error E_USAGE: Cannot read the prompt from the file .*: there is/,
      ],
      [[run, "--top_p=0"], /^error E_CONFIG: Cannot set top_p .* above 0 and at most 1: "0" was given$/],
      [[run, "--top-p=1.1"], /^error E_CONFIG: Cannot set top_p/],
      [[run, "--top_k=0"], /^error E_CONFIG: Cannot set top_k/],
      [[run, "--temperature=-1"], /^error E_CONFIG: Cannot set temperature/],
      [[run, "--num_samples=0"], /^error E_CONFIG: Cannot set num_samples/],
      [[run, "--engine=onix"], /^error E_CONFIG: Cannot set engine/],
      [
        [run, "--temprature=1"],
        /^error E_USAGE: unknown option '--temprature=1' \(Did you mean --temperature/,
      ],
    ];
    for (const [words, line] of refused) {
      const { status, err } = await refusal(...words);
      assert.match(err, line);
      assert.equal(status, 2, err);
      assert(!err.includes("\n"), err);
    }
  });
});

Deno.test("sample refuses what it cannot load or read with status 1 and one sentence", async () => {
  await inTempDir(async (dir) => {
    const letters = await writeLetters(dir);
    const empty = await writeTinyRun(join(dir, "empty"), { config: sort, steps: [] });
    const refused: [string[], RegExp][] = [
      [
        [join(dir, "gone")],
        /^error E_OUT_DIR: Cannot open the run .*gone as it must be a folder with a readable/,
      ],
      [[empty], /^error E_NO_CHECKPOINT: Cannot load a checkpoint from .* as it holds none$/],
      [[letters, "--checkpoint=3"], /^error E_NO_CHECKPOINT: Cannot load step 3 .* holds steps 2, 4$/],
      [[letters, "--start=xyz"], /^error E_TOKEN: Cannot encode the character "x" \(U\+0078\) at position 0/],
      [[letters, `--data_dir=${dir}/gone`], /^error E_DATA: Cannot find the tokenizer .* --data_dir=FOLDER$/],
    ];
    for (const [words, line] of refused) {
      const { status, err } = await refusal(...words);
      assert.match(err, line);
      assert.equal(status, 1, err);
      assert(!err.includes("\n"), err);
    }
  });
});

Deno.test("sample --help lists its options with units and defaults, and an example", async () => {
  let out = "";
  const output = { out: (text: string) => void (out += text), err: () => {} };
  assert.equal(await main(["sample", "--help"], { output }), 0);
  for (
    const part of [
      "--start",
      "--num_samples <samples>",
      "default 200",
      "--top_p",
      "--stop",
      "--seed",
      "Example:",
    ]
  ) {
    assert.ok(out.includes(part), `${part} is not in: ${out}`);
  }
});
