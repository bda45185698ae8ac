import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { holdLock, isLockHeld } from "../../shared/process_lock.ts";
import { inTempDir } from "./temp_dir.ts";

const MODULE = fileURLToPath(new URL("../../shared/process_lock.ts", import.meta.url));

Deno.test("holdLock() keeps a file locked until its process ends, even by SIGKILL", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/worker-0`;
    assert.equal(isLockHeld(path), false);
    const code =
      `import { holdLock } from "${MODULE}"; console.log(holdLock("${path}") !== null); setTimeout(() => {}, 60_000)`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "true\n");
    assert.equal(isLockHeld(path), true);
    assert.equal(holdLock(path), null);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.equal(isLockHeld(path), false);
    const lock = holdLock(path);
    assert.notEqual(lock, null);
    lock?.release();
    holdLock(path)?.release();
  });
});
