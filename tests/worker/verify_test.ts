import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type NamedTensor, readTensors, writeTensors } from "../../shared/checkpoint/safetensors.ts";
import { type Verdict, verify } from "../../worker/verify.ts";
import { copiedFixture, fixtureDirectories } from "../fixtures.ts";
import { inTempDir } from "../shared/temp_dir.ts";

const MEASURES = ["logits", "loss", "grads", "losses", "grad_norms", "final"];
const COPIES = readdirSync(new URL("../fixtures", import.meta.url)).sort().map(copiedFixture);

async function assertPasses(directory: string, engine: string): Promise<void> {
  const verdict = await verify(directory, engine);
  assert.ok(verdict.pass, JSON.stringify(verdict));
  assert.deepEqual([verdict.case, verdict.engine], [basename(directory), engine]);
  assert.deepEqual(Object.keys(verdict.worst), MEASURES);
}

for (const directory of fixtureDirectories()) {
  Deno.test(`verify() passes on onnx: ${basename(directory)}`, () => assertPasses(directory, "onnx"));
}

// All cases would take half a minute in plain JavaScript.
for (const directory of COPIES) {
  Deno.test(`verify() passes on reference: ${basename(directory)}, a copied case`, () =>
    assertPasses(directory, "reference"));
}

/** Hands `work` a copy of a fixture in which one number of a tensor is larger by `difference`. */
function withChanged(
  { file, tensor, difference }: { file: string; tensor: string; difference: number },
  work: (directory: string) => Promise<void>,
): Promise<void> {
  return inTempDir(async (dir) => {
    const source = copiedFixture("nanogpt-tiny");
    for (const name of readdirSync(source)) await Deno.copyFile(join(source, name), join(dir, name));
    const tensors = await readTensors(join(dir, file));
    const changed = tensors.get(tensor);
    assert.ok(changed !== undefined, tensor);
    changed.data[1 % changed.data.length] += difference;
    const list: NamedTensor[] = [...tensors].map(([name, { shape, data }]) => ({ name, shape, data }));
    await writeTensors(join(dir, file), list);
    await work(dir);
  });
}

const WEIGHT = {
  file: "weights.safetensors",
  tensor: "transformer.h.0.attn.c_attn.weight",
  difference: 0.01,
};

/** What is changed, and the measure that must show it. */
const CHANGES: Record<
  string,
  { file: string; tensor: string; difference: number; measure: keyof Verdict["worst"] }
> = {
  "another weight": { ...WEIGHT, measure: "logits" },
  "another logit": { file: "expected.safetensors", tensor: "logits", difference: 1e-4, measure: "logits" },
  "another loss": { file: "expected.safetensors", tensor: "loss", difference: 1e-5, measure: "loss" },
  "another gradient": {
    file: "expected.safetensors",
    tensor: "grad.transformer.ln_f.weight",
    difference: 1e-4,
    measure: "grads",
  },
  "another final weight": {
    file: "final.safetensors",
    tensor: "transformer.wte.weight",
    difference: 1e-3,
    measure: "final",
  },
};

for (const [title, { measure, ...change }] of Object.entries(CHANGES)) {
  Deno.test(`verify() fails with ${title}, and ${measure} shows it`, () =>
    withChanged(change, async (directory) => {
      const sound = await verify(copiedFixture("nanogpt-tiny"), "onnx");
      const { pass, worst } = await verify(directory, "onnx");
      assert.ok(!pass);
      assert.ok(worst[measure] > 0.9 * Math.min(change.difference, 1e-4) && sound.worst[measure] < 1e-5);
    }));
}

const MAIN = fileURLToPath(new URL("../../mod.ts", import.meta.url));

async function command(directory: string): Promise<{ code: number; lines: string[] }> {
  const args = ["run", "-A", MAIN, "verify", directory, "--json"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  return { code, lines: new TextDecoder().decode(stdout).trimEnd().split("\n") };
}

Deno.test("verify DIR --json prints one JSON line and ends with 0 for a pass, with 1 for a fail", async () => {
  const passed = await command(copiedFixture("nanogpt-tiny"));
  assert.deepEqual([passed.code, passed.lines.length], [0, 1]);
  const { worst, seconds: _, ...verdict }: Verdict & { seconds: number } = JSON.parse(passed.lines[0]);
  assert.deepEqual(verdict, { case: "nanogpt-tiny", engine: "onnx", pass: true });
  assert.deepEqual(Object.keys(worst), MEASURES);
  await withChanged(WEIGHT, async (directory) => {
    const failed = await command(directory);
    assert.deepEqual([failed.code, failed.lines.length], [1, 1]);
    assert.equal(JSON.parse(failed.lines[0]).pass, false);
  });
});

Deno.test("verify() refuses what is no reference directory with a sentence that names the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const missing = {
      code: "E_DATA",
      message: /config\.json cannot be read; a reference directory is required$/,
    };
    await assert.rejects(() => verify(folder, "onnx"), missing);
    await Deno.writeTextFile(`${folder}/config.json`, "{");
    await assert.rejects(() => verify(folder, "onnx"), { code: "E_DATA", message: /config\.json is wrong/ });
    await Deno.writeTextFile(`${folder}/config.json`, '{"name": 1}');
    await assert.rejects(() => verify(folder, "onnx"), {
      code: "E_DATA",
      message: /"name" of .*config\.json is wrong/,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
