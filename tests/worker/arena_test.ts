import assert from "node:assert/strict";
import { Arena } from "../../worker/arena.ts";
import { LockstepError } from "../../shared/errors.ts";

Deno.test("Arena.create() lays regions out one after the other, at multiples of 64 bytes, zero at first", () => {
  const arena = Arena.create({ a: 1, b: 17, c: 16 });
  const [a, b, c] = [arena.region("a"), arena.region("b"), arena.region("c")];
  assert.deepEqual([a.byteOffset, b.byteOffset, c.byteOffset], [0, 64, 192]);
  assert.deepEqual([a.view.length, b.view.length, c.view.length], [1, 17, 16]);
  assert.equal(b.address - a.address, 64n);
  assert.equal(a.address % 64n, 0n);
  assert.ok(c.view.every((x) => x === 0));
  assert.equal(Arena.bytes({ a: 1, b: 17, c: 16 }), 65_536);
});

Deno.test("Arena.region() gives views that are ordinary ArrayBuffers at the region's native address", () => {
  const region = Arena.create({ before: 5, numbers: 100 }).region("numbers");
  assert.ok(region.view.buffer instanceof ArrayBuffer);
  region.view[99] = 0.25;
  const pointer = Deno.UnsafePointer.create(region.address);
  assert.ok(pointer !== null);
  assert.equal(new Deno.UnsafePointerView(pointer).getFloat32(4 * 99), 0.25);
});

Deno.test("Arena.adopt() sees the same numbers in another thread, without copying", async () => {
  const arena = Arena.create({ before: 3, numbers: 8 });
  arena.region("numbers").view[7] = 2;
  const worker = new Worker(new URL("./arena_thread.ts", import.meta.url), { type: "module" });
  const answer = new Promise((resolve) => worker.onmessage = (event) => resolve(event.data));
  worker.postMessage(arena.share());
  assert.equal(await answer, 2);
  worker.terminate();
  assert.equal(arena.region("numbers").view[7], 3);
});

Deno.test("Arena.create() refuses more than 4 GiB with the size", () => {
  assert.throws(
    () => Arena.create({ parameters: 2 ** 30 }),
    (error) => error instanceof LockstepError && error.code === "E_MEMORY" && /4\.00 GiB/.test(error.message),
  );
});

Deno.test("Arena.adviseHugePages() answers and leaves the numbers as they are", () => {
  const arena = Arena.create({ numbers: 1 << 20 });
  arena.region("numbers").view.fill(3);
  assert.equal(typeof arena.adviseHugePages(), "boolean");
  assert.ok(arena.region("numbers").view.every((x) => x === 3));
});
