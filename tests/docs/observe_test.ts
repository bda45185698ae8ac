import assert from "node:assert/strict";
import { sandbox } from "../integration/support.ts";
import { needing, python } from "../python.ts";

Deno.test({
  ...await needing(["wandb"], "docs/observe.md: its line hands metrics.jsonl to Weights & Biases"),
  async fn() {
    await using box = await sandbox();
    const page = await Deno.readTextFile(new URL("../../docs/observe.md", import.meta.url));
    const [, line] = /^python -c '(import json, sys, wandb;.*)' out\/sort-demo$/m.exec(page) ?? [];
    assert.ok(line !== undefined, "docs/observe.md lacks the line");
    const lines = [{ step: 0, loss: 2.5 }, { step: 10, loss: 1.25 }];
    await Deno.mkdir(box.path("run"));
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await Deno.writeTextFile(box.path("run/metrics.jsonl"), text);
    const { success, err } = await python(["-c", line, "run"], {
      cwd: box.dir,
      env: { WANDB_MODE: "offline", NO_COLOR: "1" },
    });
    assert.ok(success, err);
    // What wandb itself says of the run at its end.
    assert.match(err, /loss 1\.25\n/);
    assert.match(err, /step 10\n/);
  },
});
