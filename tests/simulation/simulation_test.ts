import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTATIONS } from "./mutations.ts";
import { simulate } from "./simulate.ts";

const SEEDS = 400;

Deno.test(`coordinator and workers keep every promise in ${SEEDS} simulated worlds`, async () => {
  const faults = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await simulate(seed);
    for (const kind of Object.keys(outcome.faults)) faults.add(kind);
    assert.equal(
      outcome.violation,
      null,
      `seed ${seed}; its trace: deno run -A tests/simulation/main.ts --seed=${seed}`,
    );
  }
  assert.equal(faults.size, 15, `kinds of faults: ${[...faults].join(", ")}`);
});

Deno.test("simulate() gives the same trace for the same seed", async () => {
  for (const seed of [3, 57, 368]) {
    const [a, b] = [await simulate(seed, { traces: true }), await simulate(seed, { traces: true })];
    assert.deepEqual(a, b);
    assert.ok(a.trace.length > 10);
  }
});

Deno.test("a member that computes otherwise is found out by an audit, which names it", async () => {
  let named = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const { violation } = await simulate(seed, { liar: true });
    const said = /the gradient of the audited shard of step (\d+) in bucket 1 of 1: (\S+) and (\S+) computed/
      .exec(violation ?? "");
    assert.ok(said !== null, `seed ${seed}: ${violation}`);
    if (said[2] === "worker-1" || said[3] === "worker-1") named++;
  }
  assert.equal(named, 60);
});

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What the simulation is made of. */
const SOURCES = ["coordinator", "worker", "shared", "tests/simulation", "deno.json", "deno.lock"];

for (const { title, changes } of MUTATIONS) {
  Deno.test(`the simulator finds within 1,000 seeds: ${title}`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      for (const source of SOURCES) await copy(join(root, source), join(dir, source));
      for (const { file, from, to } of changes) {
        const text = await Deno.readTextFile(join(dir, file));
        assert.equal(text.split(from).length, 2, `${file} has once: ${from}`);
        await Deno.writeTextFile(join(dir, file), text.replace(from, () => to));
      }
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--quiet", join(dir, "tests/simulation/main.ts"), "1", "1000"],
        env: { NO_COLOR: "1" },
      }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.equal(code, 1, said.slice(0, 2_000));
      assert.match(said, /^replay: deno run .* --seed=\d+$/m, said.slice(0, 2_000));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(dirname(to), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}
