import assert from "node:assert/strict";
import { join } from "node:path";
import { createRunDir, openRunDir, type RunDir, runDirAt } from "../../shared/run_dir.ts";
import { inTempDir, namesIn } from "./temp_dir.ts";

async function fill(run: RunDir): Promise<void> {
  await Deno.writeTextFile(run.config, "");
  await Deno.writeTextFile(run.manifest, "{}");
}

Deno.test("createRunDir() takes out/PRESET, then out/PRESET-2, and so on", async () => {
  await inTempDir(async (dir) => {
    const options = { out_dir: null, preset: "sort-demo", root: join(dir, "out") };
    for (const name of ["sort-demo", "sort-demo-2", "sort-demo-3"]) {
      const run = await createRunDir(options);
      assert.equal(run.path, join(dir, "out", name));
      assert.deepEqual(run, runDirAt(run.path));
      assert((await Deno.stat(run.checkpoints)).isDirectory);
    }
  });
});

Deno.test("createRunDir() gives each of many that start at once another directory", async () => {
  await inTempDir(async (dir) => {
    const options = { out_dir: null, preset: "p", root: dir };
    const runs = await Promise.all(Array.from({ length: 10 }, () => createRunDir(options)));
    assert.equal(new Set(runs.map(({ path }) => path)).size, 10);
  });
});

Deno.test("createRunDir() lets one of many have the same out_dir", async () => {
  await inTempDir(async (dir) => {
    const options = { out_dir: join(dir, "a", "b"), preset: "p" };
    const claims = await Promise.allSettled(Array.from({ length: 10 }, () => createRunDir(options)));
    assert.equal(claims.filter(({ status }) => status === "fulfilled").length, 1);
    for (const claim of claims) if (claim.status === "rejected") assert.equal(claim.reason.code, "E_OUT_DIR");
  });
});

Deno.test("createRunDir() takes a directory with other files, and refuses one that holds a run, saying what to do", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "notes.txt"), "mine");
    const options = { out_dir: dir, preset: "p" };
    const run = await createRunDir(options);
    assert.deepEqual(await namesIn(dir), ["checkpoints", "notes.txt"]);
    await assert.rejects(createRunDir(options), {
      code: "E_OUT_DIR",
      message: `Cannot start a run in ${dir} as another start claimed it and wrote no config.toml ` +
        `(it is starting now, or it died): remove the directory or choose another --out_dir`,
    });
    await fill(run);
    await assert.rejects(createRunDir(options), {
      code: "E_OUT_DIR",
      message:
        `Cannot start a run in ${dir} as it already holds another: resume that with --init_from=resume ` +
        `or choose another --out_dir`,
    });
  });
});

Deno.test("createRunDir() refuses a file as out_dir and a preset that is no name", async () => {
  await inTempDir(async (dir) => {
    const file = join(dir, "file");
    await Deno.writeTextFile(file, "");
    await assert.rejects(createRunDir({ out_dir: file, preset: "p" }), { code: "E_OUT_DIR" });
    await assert.rejects(createRunDir({ out_dir: join(file, "x"), preset: "p" }), { code: "E_OUT_DIR" });
    await assert.rejects(createRunDir({ out_dir: null, preset: "../p", root: dir }), { code: "E_PATH" });
  });
});

Deno.test("openRunDir() finds the run at out_dir, or the last one of the preset that holds a run", async () => {
  await inTempDir(async (dir) => {
    const options = { out_dir: null, preset: "p", root: dir };
    const [first, second] = [
      await createRunDir(options),
      await createRunDir(options),
      await createRunDir(options),
    ];
    await assert.rejects(openRunDir(options), {
      code: "E_OUT_DIR",
      message: /^Cannot resume .*p as it holds no run/,
    });
    await fill(first);
    await fill(second);
    assert.deepEqual(await openRunDir(options), second);
    assert.deepEqual(await openRunDir({ ...options, out_dir: first.path }), first);
    await assert.rejects(openRunDir({ ...options, out_dir: join(dir, "p-3") }), { code: "E_OUT_DIR" });
    await assert.rejects(openRunDir({ ...options, out_dir: join(dir, "none") }), { code: "E_OUT_DIR" });
  });
});
