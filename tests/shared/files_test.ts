import assert from "node:assert/strict";
import { join } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import {
  disk,
  type DiskFile,
  fileError,
  replaceFile,
  safeName,
  writeAll,
  writeFileAtomic,
} from "../../shared/files.ts";
import { inTempDir, namesIn } from "./temp_dir.ts";

Deno.test("writeFileAtomic() creates and replaces a file, text or bytes", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x");
    await writeFileAtomic(path, "née");
    assert.equal(await Deno.readTextFile(path), "née");
    await writeFileAtomic(path, Uint8Array.of(1, 2));
    assert.deepEqual(await Deno.readFile(path), Uint8Array.of(1, 2));
    assert.deepEqual(await namesIn(dir), ["x"]);
  });
});

Deno.test("replaceFile() keeps the old content and removes its own when the writer throws", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x");
    await writeFileAtomic(path, "old");
    const broken = replaceFile(path, async (file) => {
      await writeAll(file, new Uint8Array(10));
      throw new Error("stop");
    });
    await assert.rejects(broken, { message: "stop" });
    assert.equal(await Deno.readTextFile(path), "old");
    assert.deepEqual(await namesIn(dir), ["x"]);
  });
});

Deno.test("writeAll() goes on after short writes", async () => {
  const written: number[] = [];
  const file: DiskFile = {
    write(bytes) {
      const some = bytes.subarray(0, 3);
      written.push(...some);
      return Promise.resolve(some.byteLength);
    },
    sync: () => Promise.resolve(),
    close() {},
  };
  await writeAll(file, Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  assert.deepEqual(written, [1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("disk.remove() takes what is not there", async () => {
  await inTempDir(async (dir) => {
    await disk.remove(join(dir, "nothing"));
    await disk.syncDir(dir);
  });
});

Deno.test("fileError() tells a full disk and a forbidden place, and leaves other errors alone", () => {
  const withCode = (code: string) => Object.assign(new Error("no"), { code });
  const full = fileError(withCode("ENOSPC"), "write x");
  assert(full instanceof LockstepError);
  assert.equal(full.code, "E_NO_SPACE");
  assert.equal(
    full.message,
    "Cannot write x as the disk is full: free some space or choose another --out_dir",
  );
  const forbidden = fileError(withCode("EACCES"), "write x");
  assert(forbidden instanceof LockstepError && forbidden.code === "E_OUT_DIR");
  const other = withCode("EIO");
  assert.equal(fileError(other, "write x"), other);
});

Deno.test({
  name: "writeFileAtomic() without Deno's permission to write says so with E_OUT_DIR",
  permissions: { read: true, write: false, env: true },
  async fn() {
    await assert.rejects(writeFileAtomic("/tmp/x", "y"), {
      code: "E_OUT_DIR",
      message: /Deno was not allowed to/,
    });
  },
});

Deno.test("safeName() takes plain names and refuses paths, dots and odd characters", () => {
  assert.equal(safeName("moby-dick_2.v1", "a run"), "moby-dick_2.v1");
  for (const name of ["", ".", "..", "a/b", "a\\b", "a b", "é", "x".repeat(129), "a\n", "a\0"]) {
    assert.throws(() => safeName(name, "a run"), { code: "E_PATH", message: /^Cannot take ".*" as a run: / });
  }
});
