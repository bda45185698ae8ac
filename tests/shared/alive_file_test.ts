import assert from "node:assert/strict";
import { join } from "node:path";
import { ALIVE_VARIABLE, aliveFileOf, keepAlive, readAlive } from "../../shared/alive_file.ts";
import { inTempDir } from "./temp_dir.ts";

/** A process that keeps `path` alive until it is killed, once it has begun. */
async function startKeeper(path: string) {
  const module = JSON.stringify(new URL("../../shared/alive_file.ts", import.meta.url).href);
  const code = `const { keepAlive } = await import(${module});
    console.log(keepAlive(${JSON.stringify(path)}) !== null); setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value).trim(), "true");
  await reader.cancel();
  return child;
}

Deno.test("keepAlive() shows that a process lives, that it hangs after a minute of silence, and that it was killed", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "alive");
    assert.equal(readAlive(path).reason, `there is no ${path}`);
    const child = await startKeeper(path);
    try {
      assert.equal(readAlive(path).alive, true);
      const later = readAlive(path, { now: Date.now() + 61_000 });
      assert.deepEqual([later.alive, /^its process hangs: last heard 6\d s ago$/.test(later.reason)], [
        false,
        true,
      ]);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
    assert.deepEqual(readAlive(path), {
      alive: false,
      reason: `the process that made ${path} has ended`,
    });
  }));

Deno.test("keepAlive() sets the file's time again and again, and removes the file at the end", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "alive");
    const alive = keepAlive(path, { everyMs: 5 });
    Deno.utimeSync(path, 0, 0);
    for (let tries = 0; tries < 200 && Deno.statSync(path).mtime?.getTime() === 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(Date.now() - (Deno.statSync(path).mtime?.getTime() ?? 0) < 10_000);
    alive[Symbol.dispose]();
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    assert.equal(keepAlive(null), null);
  }));

Deno.test("keepAlive() leaves another process its file, takes it over when that has ended, and makes it anew where it was removed", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "alive");
    const child = await startKeeper(path);
    const alive = keepAlive(path, { everyMs: 60_000 });
    Deno.utimeSync(path, 0, 0);
    alive.beat();
    assert.equal(Deno.statSync(path).mtime?.getTime(), 0);
    child.kill("SIGKILL");
    await child.status;
    alive.beat();
    assert.ok((Deno.statSync(path).mtime?.getTime() ?? 0) > 0);
    Deno.removeSync(path);
    alive.beat();
    alive.beat();
    assert.deepEqual([...Deno.readDirSync(dir)].length, 1);
    alive[Symbol.dispose]();
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("keepAlive() refuses a place where it may not write", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "file"), "");
    assert.throws(() => keepAlive(join(dir, "file", "alive")), { code: "E_OUT_DIR" });
  }));

Deno.test("aliveFileOf() takes the environment's file before the run's own", () => {
  const before = Deno.env.get(ALIVE_VARIABLE);
  Deno.env.delete(ALIVE_VARIABLE);
  try {
    assert.deepEqual([aliveFileOf("out/x"), aliveFileOf(null)], [join("out/x", "alive"), null]);
    Deno.env.set(ALIVE_VARIABLE, "/run/alive");
    assert.deepEqual([aliveFileOf("out/x"), aliveFileOf(null)], ["/run/alive", "/run/alive"]);
  } finally {
    if (before === undefined) Deno.env.delete(ALIVE_VARIABLE);
    else Deno.env.set(ALIVE_VARIABLE, before);
  }
});
