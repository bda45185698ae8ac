import assert from "node:assert/strict";
import { NO_PROC, sandbox } from "./support.ts";
import { tinySweep, trainHere } from "./sweeps.ts";

const SEEDS = [1, 2, 3];

Deno.test({
  name:
    `sweep goes on after a run was killed and after Ctrl-C, with the bits of plain runs, and skips what is done${
      NO_PROC === null ? "" : ` (skipped: ${NO_PROC})`
    }`,
  ignore: NO_PROC !== null,
  async fn() {
    await using box = await sandbox();
    const keys = { max_iters: 400, eval_interval: 100, eval_items: 8, log_interval: 10 };
    await Deno.writeTextFile(box.path("tiny.toml"), tinySweep({ seeds: SEEDS, keys }));
    const log = (seed: number) => Deno.readTextFile(box.path("out", "tiny", `default-s${seed}.log`));

    const first = box.start(["sweep", "tiny.toml", "--jobs=2"]);
    await first.says("default-s1  step 200:");
    const training = first.children().find((pid) =>
      Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("default-s1")
    );
    assert.ok(training !== undefined);
    Deno.kill(training, "SIGKILL");
    const { code, out } = await first.ended;
    assert.equal(code, 1, out);
    assert.match(out, /^default-s1 {2}failed: train ended with 137/m);
    for (const seed of [2, 3]) {
      assert.match(out, new RegExp(`^default-s${seed} {2}done: 400 steps .*sort exact_match`, "m"));
    }

    const second = box.start(["sweep", "tiny.toml"], { job: true });
    await second.says("default-s1  step 300:");
    second.interrupt();
    const stopped = await second.ended;
    assert.equal(stopped.code, 75, stopped.out + stopped.err);
    assert.match(stopped.out, /^3 runs: 2 are done, 1 at a time\ndefault-s1 {2}goes on from step [12]00$/m);
    assert.match(stopped.out, /^default-s1 {2}not done: interrupted\nthe same command goes on from here$/m);

    const third = await box.run(["sweep", "tiny.toml"]);
    assert.equal(third.code, 0, third.out + third.err);
    assert.match(third.out, /^default-s1 {2}goes on from step 3\d\d$/m);
    const words = ["--seed=1", "--max_iters=400", "--eval_interval=400"];
    assert.equal(await box.weights("out/tiny/default-s1"), await trainHere(box, { name: "alone", words }));
    const result = JSON.parse(await Deno.readTextFile(box.path("tiny", "default-s1.json")));
    assert.deepEqual(result.curve.step, [0, 100, 200, 300, 400]);
    assert.equal(result.tasks.sort.exact_match.n, 8);

    const before = await Promise.all(SEEDS.map(log));
    const fourth = await box.run(["sweep", "tiny.toml"]);
    assert.equal(fourth.code, 0);
    assert.match(
      fourth.out,
      /^3 runs: 3 are done, 0 at a time\nto compare them: .* sweep report tiny\.toml\n$/,
    );
    assert.deepEqual(await Promise.all(SEEDS.map(log)), before);

    await Deno.writeTextFile(
      box.path("tiny.toml"),
      tinySweep({ seeds: SEEDS, keys: { ...keys, n_embd: 36 } }),
    );
    const changed = await box.run(["sweep", "tiny.toml"]);
    assert.equal(changed.code, 1);
    assert.match(
      changed.err,
      /E_CONFIG_HASH: Cannot take tiny\/default-s1\.json for default-s1 .*n_embd was 24 and is 36/,
    );
  },
});

Deno.test("sweep starts runs from those of another sweep, of their model, once these are trained", async () => {
  await using box = await sandbox();
  const write = (name: string, lines: readonly string[]) =>
    Deno.writeTextFile(box.path(name), lines.join("\n"));
  const keys = { n_embd: 36, max_iters: 20, eval_interval: 10 };
  await write("base.toml", [tinySweep({ seeds: [1, 2], keys })]);
  const config = [
    "[config]",
    "max_iters = 3",
    "eval_interval = 1",
    "eval_items = 8",
    "sort.length = 4",
    "batch_size = 2",
    "eval_iters = 1",
  ];
  await write("more.toml", ['preset = "sort-demo"', 'from = "base.toml"', "seeds = [2]", ...config]);

  const early = await box.run(["sweep", "more.toml"]);
  assert.equal(early.code, 1, early.out);
  assert.match(
    early.err,
    /E_WEIGHTS: Cannot start default-s2 from out\/base\/default-s2 as that run must be trained: run sweep base\.toml first/,
  );
  assert.equal((await box.run(["sweep", "base.toml"])).code, 0);
  const then = await box.run(["sweep", "more.toml"]);
  assert.equal(then.code, 0, then.out + then.err);
  const [base, more] = await Promise.all(
    ["base", "more"].map(async (name) =>
      JSON.parse(await Deno.readTextFile(box.path(name, "default-s2.json")))
    ),
  );
  assert.deepEqual(more.curve.step, [0, 1, 2, 3]);
  assert.equal(more.curve.val_loss[0], base.curve.val_loss.at(-1)); // the same weights and items
  assert.equal(more.parameters, base.parameters);
  assert.match((await box.run(["sweep", "more.toml"])).out, /^1 runs: 1 are done/);

  await write("more.toml", ['preset = "sort-demo"', 'from = "base.toml"', "seeds = [3]", ...config]);
  const other = await box.run(["sweep", "more.toml"]);
  assert.equal(other.code, 2, other.out);
  assert.match(
    other.err,
    /E_CONFIG: .* from the weights of base\.toml as it has no run default-s3: its runs are default-s1, /,
  );
  await write("more.toml", ['preset = "sort-demo"', 'from = "more.toml"', ...config]);
  const circle = await box.run(["sweep", "more.toml"]);
  assert.equal(circle.code, 2, circle.out);
  assert.match(circle.err, /E_CONFIG: .* as that one starts from this one/);
});
