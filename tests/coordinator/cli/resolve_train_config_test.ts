import assert from "node:assert/strict";
import { keyWord, resolveTrainConfig } from "../../../coordinator/cli/resolve_train_config.ts";
import { train } from "../../../mod.ts";

Deno.test("keyWord() writes what the command line reads back", async () => {
  const words = [["reflex.heads", [4, 1, 1]], ["out_dir", null], ["n_embd", 12], ["bias", true], [
    "seed",
    7,
  ]] as const;
  const { config } = await resolveTrainConfig(words.map(([key, value]) => keyWord(key, value)));
  assert.deepEqual(
    [config.reflex.heads, config.out_dir, config.n_embd, config.bias, config.seed],
    [[4, 1, 1], null, 12, true, 7],
  );
});

Deno.test("train() resumes with the configuration of the run, what is given above it, and ends with the same weights", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const small = {
      n_layer: 2,
      n_embd: 12,
      nproc_per_node: 1,
      eval_iters: 1,
      eval_items: 0,
      eval_interval: 2,
    } as const;
    const whole = await train({
      config: { ...small, out_dir: `${folder}/whole`, max_iters: 4, lr_decay_iters: 4 },
    });
    await train({ config: { ...small, out_dir: `${folder}/half`, max_iters: 2, lr_decay_iters: 4 } });
    const resumed = await train({ config: { init_from: "resume", out_dir: `${folder}/half`, max_iters: 4 } });
    assert.deepEqual([resumed.step, resumed.stateHash], [4, whole.stateHash]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
