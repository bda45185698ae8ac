import assert from "node:assert/strict";
import { sandbox, TINY } from "./support.ts";
import { NO_TERMINAL, Terminal } from "./terminal.ts";

const title = (text: string) => NO_TERMINAL === null ? text : `${text} (skipped: ${NO_TERMINAL})`;

/** Long enough to be seen while it goes on. */
const RUN = [...TINY, "--max_iters=400", "--eval_interval=200", "--nproc_per_node=1", "--out_dir=run"];

Deno.test({
  name: title("train, eval and prepare show bars on a terminal, which go and leave every other line"),
  ignore: NO_TERMINAL !== null,
  async fn() {
    await using box = await sandbox();
    {
      await using terminal = await Terminal.open(box, ["train", ...RUN, "--eval_items=20000"]);
      await terminal.shows(/^█*░+ iter \d+\/400 {2}loss \d\.\d{4} {2}\d+ tokens\/s {2}\d+s left$/m);
      await terminal.shows(/^█*░+ evaluated \d+\/\d+$/m);
      await terminal.shows(/ended: 0/);
      const text = await terminal.text();
      for (
        const line of ["14,544 parameters", "step 0: ", "step 200: ", "step 400: ", "saved run/", "sort:"]
      ) {
        assert.ok(text.includes(`\n${line}`), `${line} expected: ${text}`);
      }
      assert.ok(!/[█░]/.test(text), `no bar is left: ${text}`);
      assert.ok(!/^iter \d+:/m.test(text), `no plain lines beside the bar: ${text}`);
    }
    {
      const words = ["eval", "run", "--eval_items=20000", "--nproc_per_node=1", "--json"];
      await using terminal = await Terminal.open(box, words);
      await terminal.shows(/^█*░+ evaluated \d+\/\d+$/m);
      await terminal.shows(/ended: 0/);
      assert.match((await terminal.text()).trim(), /^\{"run":"run",[^█░]*\nended: 0$/);
    }
    await Deno.writeTextFile(box.path("text.txt"), "to be or not to be\n".repeat(400_000));
    {
      await using terminal = await Terminal.open(box, ["prepare", "text.txt", "--data_dir=data"]);
      await terminal.shows(/^█*░+ (read|encoded) \d+\.\d\/7\.6 MB$/m);
      await terminal.shows(/ended: 0/);
      assert.match((await terminal.text()).trim(), /^prepared: data holds [^█░]*\nended: 0$/);
    }
  },
});

Deno.test({
  name: title(
    "train --quiet shows no bar on a terminal, and one without a cursor of its own gets plain lines",
  ),
  ignore: NO_TERMINAL !== null,
  async fn() {
    await using box = await sandbox();
    {
      await using terminal = await Terminal.open(box, ["train", ...RUN, "--quiet", "--eval_items=0"]);
      await terminal.shows(/ended: 0/);
      assert.equal((await terminal.text()).trim(), "run directory: run\nended: 0");
    }
    const dumb = await Terminal.open(box, ["train", ...TINY, "--out_dir=plain"], { TERM: "dumb" });
    await using terminal = dumb;
    await terminal.shows(/ended: 0/);
    assert.match(await terminal.text(), /^iter 0: loss \d\.\d{4}, time \d+\.\d\dms, mfu -100\.00%$/m);
  },
});
