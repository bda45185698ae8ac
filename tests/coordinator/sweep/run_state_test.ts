import assert from "node:assert/strict";
import { join } from "node:path";
import { identityOf } from "../../../coordinator/sweep/run_identity.ts";
import { writeResult } from "../../../coordinator/sweep/run_result.ts";
import { readRunState, type WantedRun } from "../../../coordinator/sweep/run_state.ts";
import { keepAlive } from "../../../shared/alive_file.ts";
import { parseRunConfig } from "../../../shared/config/parse_run_config.ts";
import type { RunConfig } from "../../../shared/config/run_config.ts";
import { toToml } from "../../../shared/config/toml.ts";
import { resultOf } from "./results.ts";

const CONFIG = parseRunConfig({ max_iters: 100, eval_items: 10, vocab_size: 17 }, { source: "test" });

interface Place {
  readonly wanted: WantedRun;
  /** Leaves what a run with this configuration leaves: a checkpoint, and the times of its epoch. */
  trained(config: RunConfig, at: { step: number | null; seconds?: number }): Promise<void>;
  kept(result: Parameters<typeof resultOf>[0]): Promise<void>;
}

async function inPlace(run: (place: Place) => Promise<void>, given: Partial<WantedRun> = {}): Promise<void> {
  const dir = await Deno.makeTempDir();
  const wanted: WantedRun = {
    config: CONFIG,
    folder: join(dir, "run"),
    result: join(dir, "run.json"),
    tasks: ["sort"],
    budgetMs: null,
    ...given,
  };
  try {
    await run({
      wanted,
      async trained(config, { step, seconds = 0 }) {
        await Deno.mkdir(join(wanted.folder, "checkpoints"), { recursive: true });
        await Deno.writeTextFile(join(wanted.folder, "config.toml"), toToml(config));
        if (step !== null) {
          await Deno.mkdir(join(wanted.folder, "checkpoints", `step-${String(step).padStart(8, "0")}`));
        }
        for (const [name, at] of [["epoch-1", 0], ["ledger-1.jsonl", seconds]] as const) {
          await Deno.writeTextFile(join(wanted.folder, name), "");
          await Deno.utime(join(wanted.folder, name), 1_000 + at, 1_000 + at);
        }
      },
      async kept(result) {
        const config: Record<string, never> = JSON.parse(JSON.stringify(identityOf(CONFIG)));
        const tasks = { sort: { exact_match: { value: 1, low: 1, high: 1, chance: 0, n: 10 } } };
        await writeResult(wanted.result, resultOf({ config, tasks, ...result }));
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("readRunState() is new where nothing is, and where a start came to nothing", async () => {
  await inPlace(async ({ wanted, trained }) => {
    assert.deepEqual(await readRunState(wanted), { kind: "new", leftover: false });
    await Deno.mkdir(wanted.folder);
    assert.deepEqual(await readRunState(wanted), { kind: "new", leftover: true });
    await trained(CONFIG, { step: null });
    assert.deepEqual(await readRunState(wanted), { kind: "new", leftover: true });
  });
});

Deno.test("readRunState() goes on from the last checkpoint, and measures what is trained", async () => {
  await inPlace(async ({ wanted, trained }) => {
    await trained(CONFIG, { step: 40, seconds: 7 });
    assert.deepEqual(await readRunState(wanted), { kind: "resumable", step: 40, seconds: 7 });
    assert.deepEqual(await readRunState({ ...wanted, budgetMs: 8_000 }), {
      kind: "resumable",
      step: 40,
      seconds: 7,
    });
    assert.deepEqual(await readRunState({ ...wanted, budgetMs: 7_000 }), { kind: "trained", step: 40 });
    await trained(CONFIG, { step: 100 });
    assert.deepEqual(await readRunState(wanted), { kind: "trained", step: 100 });
  });
});

Deno.test("readRunState() leaves a run alone that another process trains", async () => {
  await inPlace(async ({ wanted, trained }) => {
    await trained(CONFIG, { step: 40 });
    using _alive = keepAlive(join(wanted.folder, "alive"));
    assert.equal((await readRunState(wanted)).kind, "running");
  });
});

Deno.test("readRunState() tells keys that decide the weights and are others, in the folder and in the result", async () => {
  await inPlace(async ({ wanted, trained, kept }) => {
    await trained({ ...CONFIG, n_layer: 3, log_interval: 7 }, { step: 40 });
    const differences = ["n_layer was 3 and is 6"];
    assert.deepEqual(await readRunState(wanted), { kind: "changed", path: wanted.folder, differences });
    await kept({ config: { ...JSON.parse(JSON.stringify(identityOf(CONFIG))), seed: 5 } });
    assert.deepEqual(await readRunState(wanted), {
      kind: "changed",
      path: wanted.result,
      differences: ["seed was 5 and is 1337"],
    });
  });
});

Deno.test("readRunState() is done by the result alone, as long as it says all that is asked for", async () => {
  await inPlace(async ({ wanted, kept }) => {
    await kept({});
    assert.equal((await readRunState(wanted)).kind, "done");
    const more: Partial<WantedRun>[] = [
      { tasks: ["sort", "induction"] },
      { config: { ...CONFIG, eval_items: 20 } },
      { config: { ...CONFIG, max_iters: 200, lr_decay_iters: 100 } },
    ];
    for (const wants of more) assert.equal((await readRunState({ ...wanted, ...wants })).kind, "new");
    await kept({ status: "stopped", steps: 60, budget_seconds: 30 });
    for (
      const [budgetMs, kind] of [[20_000, "done"], [30_000, "done"], [40_000, "new"], [null, "new"]] as const
    ) {
      assert.equal((await readRunState({ ...wanted, budgetMs })).kind, kind, String(budgetMs));
    }
  });
});

Deno.test("readRunState() takes a run that stopped early for trained, and its result for all of it", async () => {
  const config = { ...CONFIG, early_stopping_patience: 2 };
  await inPlace(async ({ wanted, trained, kept }) => {
    await trained(config, { step: 30 });
    const write = (losses: readonly number[]) =>
      Deno.writeTextFile(
        join(wanted.folder, "eval.jsonl"),
        losses.map((val_loss, i) =>
          JSON.stringify({ step: 10 * (i + 1), task: "estimate", metrics: { val_loss } }) + "\n"
        ).join(""),
      );
    await write([1, 2, 0.5]);
    assert.equal((await readRunState(wanted)).kind, "resumable");
    await write([1, 2, 3]);
    assert.deepEqual(await readRunState(wanted), { kind: "trained", step: 30 });
    await kept({ status: "finished", steps: 30 });
    assert.equal((await readRunState(wanted)).kind, "done");
  }, { config });
});
