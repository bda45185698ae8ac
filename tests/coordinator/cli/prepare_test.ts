import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "../../../coordinator/cli/main.ts";
import { readDataMeta } from "../../../shared/data/data_meta.ts";

const COMMANDS = [{
  name: "prepare",
  summary: "Turn a text into tokens",
  load: () => import("../../../coordinator/cli/prepare.ts"),
}];

async function run(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const text = { out: "", err: "" };
  const output = { out: (line: string) => text.out += line, err: (line: string) => text.err += line };
  const log = console.log;
  console.log = (line: string) => text.out += line;
  try {
    return { status: await main(["prepare", ...words], { commands: COMMANDS, output }), ...text };
  } finally {
    console.log = log;
  }
}

Deno.test("prepare makes a folder of tokens, says how many, and says so when there is nothing to do", async () => {
  const root = await Deno.makeTempDir();
  try {
    const input = join(root, "input.txt");
    await Deno.writeTextFile(input, "0123456789".repeat(200));
    const words = [input, "--tokenizer=byte", `--data-dir=${join(root, "out")}`];
    const first = await run(...words);
    assert.equal(first.status, 0, first.err);
    assert.match(
      first.out,
      /^prepared: .*out holds 1,800 tokens for training and 200 for validation, tokenizer byte/,
    );
    assert.match((await run(...words)).out, /^nothing to do: /);
    assert.equal((await readDataMeta(join(root, "out")))?.vocab_size, 256);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("prepare refuses a pickle with status 1 and a second text with status 2", async () => {
  const pickle = await run("ckpt.pt.txt", "other.txt");
  assert.equal(pickle.status, 2);
  assert.match(pickle.err, /^error E_USAGE: Cannot prepare several texts/);
  const root = await Deno.makeTempDir();
  await Deno.writeTextFile(join(root, "meta.pkl"), "");
  const refused = await run(join(root, "meta.pkl"));
  await Deno.remove(root, { recursive: true });
  assert.equal(refused.status, 1);
  assert.match(refused.err, /^error E_PICKLE: .*docs\/from_nanogpt\.py/);
});

Deno.test("prepare --help lists its options with defaults and an example", async () => {
  const { status, out } = await run("--help");
  assert.equal(status, 0);
  for (
    const part of ["--tokenizer", "default char", "--text_field", "--force", "lockstep prepare input.txt"]
  ) {
    assert.ok(out.includes(part), `${part} is not in: ${out}`);
  }
});
