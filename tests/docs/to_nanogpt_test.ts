import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportModel } from "../../worker/export/export_model.ts";
import { loadCheckpoint } from "../../worker/load_checkpoint.ts";
import { hfFixture } from "../fixtures.ts";
import { needing, python } from "../python.ts";
import { inTempDir } from "../shared/temp_dir.ts";

const SCRIPT = fileURLToPath(new URL("../../docs/to_nanogpt.py", import.meta.url));
const NANOGPT = fileURLToPath(new URL("./nanogpt", import.meta.url));

const LOGITS = `
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from model import GPT, GPTConfig
checkpoint = torch.load(sys.argv[2], weights_only=True)
model = GPT(GPTConfig(**checkpoint["model_args"]))
model.load_state_dict(checkpoint["model"])
with torch.no_grad(): print(json.dumps(model(torch.tensor([[5, 1, 7, 3]])).flatten().tolist()))
`;

Deno.test({
  ...await needing(
    ["torch"],
    "to_nanogpt.py writes a ckpt.pt with which nanoGPT's GPT gives the same logits",
  ),
  fn: () =>
    inTempDir(async (dir) => {
      const out = join(dir, "out");
      await exportModel(hfFixture("hf-gpt2-erf"), { format: "nanogpt", out });
      const { success, err } = await python([SCRIPT, out, `--nanogpt=${NANOGPT}`]);
      assert.ok(success, err);
      const read = await python(["-c", LOGITS, NANOGPT, join(out, "ckpt.pt")]);
      assert.ok(read.success, read.err);
      const theirs: number[] = JSON.parse(read.out);
      await using checkpoint = await loadCheckpoint(hfFixture("hf-gpt2-erf"), { engine: "reference" });
      const ours = await checkpoint.logits([5, 1, 7, 3]);
      assert.equal(ours.length, theirs.length);
      assert.ok(ours.every((x, i) => Math.abs(x - theirs[i]) < 1e-4));
      await using again = await loadCheckpoint(out, { engine: "reference" }); // what was written is read here too
      assert.deepEqual(await again.logits([5, 1, 7, 3]), ours);
    }),
});
