import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTensors } from "../../shared/checkpoint/safetensors.ts";
import { readDataMeta } from "../../shared/data/data_meta.ts";
import { openTokenizer } from "../../shared/data/tokenizers/open_tokenizer.ts";

const SCRIPT = fileURLToPath(new URL("../../docs/from_nanogpt.py", import.meta.url));
const PYTHON = Deno.env.get("LOCKSTEP_TEST_PYTHON") ?? "python3";

async function python(args: string[], cwd?: string): Promise<{ success: boolean; err: string }> {
  try {
    const { success, stderr } = await new Deno.Command(PYTHON, { args, cwd }).output();
    return { success, err: new TextDecoder().decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { success: false, err: `${PYTHON} is not there` };
    throw error;
  }
}

const hasPython = (await python(["-c", ""])).success;
function skippedWithout(what: string, present: boolean): string {
  return present ? "" : ` (skipped: ${PYTHON} has no ${what})`;
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const WRITE_META = `
import pickle
chars = sorted(set("hello 鯨\\n"))
ids = {c: i for i, c in enumerate(chars)}
pickle.dump({"vocab_size": len(chars), "itos": dict(enumerate(chars)), "stoi": ids}, open("meta.pkl", "wb"))
for name in ("train.bin", "val.bin"):
    open(name, "wb").write(b"".join(ids[c].to_bytes(2, "little") for c in "hello 鯨\\n"))
`;

Deno.test({
  name: "from_nanogpt.py turns meta.pkl into a meta.json that reads the tokens beside it" +
    skippedWithout("interpreter", hasPython),
  ignore: !hasPython,
  async fn() {
    await withFolder(async (folder) => {
      assert.equal((await python(["-c", WRITE_META], folder)).err, "");
      assert.equal((await python([SCRIPT, join(folder, "meta.pkl")])).err, "");
      const meta = await readDataMeta(folder);
      assert.ok(meta !== null);
      const { buffer } = await Deno.readFile(join(folder, "train.bin"));
      assert.equal((await openTokenizer(meta)).decode(new Uint16Array(buffer)), "hello 鯨\n");
      assert.equal(meta.train.tokens, 8);
    });
  },
});

Deno.test({
  name: "from_nanogpt.py runs nothing that a pickle holds" + skippedWithout("interpreter", hasPython),
  ignore: !hasPython,
  async fn() {
    await withFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, "meta.pkl"), 'cos\nsystem\n(S"touch ran"\ntR.');
      const { success, err } = await python([SCRIPT, "meta.pkl"], folder);
      assert.ok(!success);
      assert.match(
        err,
        /^cannot convert meta\.pkl: it wants to load (os|posix)\.system, which is no plain value\s*$/,
      );
      await assert.rejects(Deno.stat(join(folder, "ran")), Deno.errors.NotFound);
    });
  },
});

/**
 * nanogpt_ckpt.pt was written by torch 2.15:
 *
 *     wte = torch.arange(12.0).reshape(4, 3)
 *     model = {"transformer.wte.weight": wte, "transformer.ln_f.weight": torch.ones(3, dtype=torch.bfloat16),
 *              "transformer.h.0.attn.bias": torch.ones(1, 1, 2, 2), "lm_head.weight": wte}
 *     torch.save({"model": {"_orig_mod." + name: tensor for name, tensor in model.items()}, "optimizer": {"state": {}},
 *                 "model_args": {"n_layer": 1, "vocab_size": 4, "bias": False}, "best_val_loss": torch.tensor(1.5)}, …)
 */
const CHECKPOINT = fileURLToPath(new URL("nanogpt_ckpt.pt", import.meta.url));

Deno.test({
  name: "from_nanogpt.py turns ckpt.pt into safetensors with nanoGPT's names, the tied head dropped" +
    skippedWithout("interpreter", hasPython),
  ignore: !hasPython,
  async fn() {
    await withFolder(async (folder) => {
      const { success, err } = await python([SCRIPT, CHECKPOINT, "--out", "new"], folder);
      assert.deepEqual([success, err], [true, ""]);
      const tensors = await readTensors(join(folder, "new", "model.safetensors"));
      assert.deepEqual([...tensors.keys()], ["transformer.wte.weight", "transformer.ln_f.weight"]);
      assert.deepEqual([...tensors.get("transformer.ln_f.weight")?.data ?? []], [1, 1, 1]);
      const wte = tensors.get("transformer.wte.weight");
      assert.deepEqual(wte?.shape, [4, 3]);
      assert.deepEqual([...wte.data], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      const config: unknown = JSON.parse(await Deno.readTextFile(join(folder, "new", "config.json")));
      assert.deepEqual(config, { n_layer: 1, vocab_size: 4, bias: false });
    });
  },
});
