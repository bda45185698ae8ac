import assert from "node:assert/strict";
import { join } from "node:path";
import { FileTail } from "../../../coordinator/run_history/file_tail.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

/** What a tail has told of a file so far. */
function reader() {
  const told: string[] = [];
  return {
    told,
    line: (text: string) => void told.push(text),
    restart: () => void told.push("(restart)"),
  };
}

const append = (path: string, text: string) => Deno.writeTextFile(path, text, { append: true });

Deno.test("FileTail reads each line once, when it is whole", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "lines"), tail = new FileTail(path), read = reader();
    await tail.read(read);
    await append(path, "one\ntw");
    await tail.read(read);
    assert.deepEqual(read.told, ["one"]);
    await append(path, "o\n");
    await tail.read(read);
    await tail.read(read);
    assert.deepEqual(read.told, ["one", "two"]);
  });
});

Deno.test("FileTail begins anew where a resumed run cut lines off, even if the file is longer by now", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "lines"), tail = new FileTail(path), read = reader();
    await append(path, "one\ntwo\n");
    await tail.read(read);
    await Deno.writeTextFile(path, "one\nother\nthree\n");
    await tail.read(read);
    assert.deepEqual(read.told, ["one", "two", "(restart)", "one", "other", "three"]);
    await Deno.remove(path);
    await tail.read(read);
    assert.equal(read.told.at(-1), "(restart)");
  });
});

Deno.test("FileTail passes over a line above 1 MiB, and reads what follows it", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "lines"), tail = new FileTail(path), read = reader();
    await append(path, `${"x".repeat(3 << 20)}\nnext\n${"y".repeat(200_000)}\n`);
    await tail.read(read);
    assert.deepEqual(read.told, ["next", "y".repeat(200_000)]);
  });
});
