import assert from "node:assert/strict";
import { ExposedMemory, MappedMemory, memoryOffer } from "../../../worker/collective/shared_memory.ts";

const PAGE = 65_536;
const LINUX = Deno.build.os === "linux";

function makeMemory(pages: number): { memory: WebAssembly.Memory; numbers: Float32Array<SharedArrayBuffer> } {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const { buffer } = memory;
  assert.ok(buffer instanceof SharedArrayBuffer);
  return { memory, numbers: new Float32Array(buffer) };
}

function expose(memory: WebAssembly.Memory, from = 0): ExposedMemory {
  const exposed = ExposedMemory.expose(memory, from);
  assert.ok(exposed !== null);
  return exposed;
}

/** What this process has mapped of files that `expose` made: their access rights and sizes. */
function mappings(): { access: string; bytes: number }[] {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").filter((line) =>
    line.includes("memfd:lockstep")
  )
    .map((line) => {
      const [range, access] = line.split(" ");
      const [start, end] = range.split("-").map((address) => Number.parseInt(address, 16));
      return { access, bytes: end - start };
    });
}

Deno.test({
  name: "ExposedMemory.expose() keeps what is in a memory, and MappedMemory.map() sees what is written later",
  ignore: !LINUX,
  fn() {
    const { memory, numbers } = makeMemory(4);
    numbers.forEach((_, i) => numbers[i] = i);
    const exposed = expose(memory, 2 * PAGE + 5);
    assert.deepEqual([exposed.offer.from, exposed.offer.to], [2 * PAGE, 4 * PAGE]);
    assert.ok(numbers.every((x, i) => x === i));
    const mapped = MappedMemory.map(memoryOffer.parse(JSON.parse(JSON.stringify(exposed.offer))));
    assert.ok(mapped !== null);
    const seen = new Float32Array(mapped.memory.buffer);
    assert.equal(seen.length, numbers.length);
    assert.ok(seen.every((x, i) => x === (i < 2 * PAGE / 4 ? 0 : i)));
    numbers[3 * PAGE / 4] = -1;
    assert.equal(seen[3 * PAGE / 4], -1);
    mapped.unmap();
    assert.ok(seen.every((x) => x === 0));
    assert.equal(numbers[3 * PAGE / 4], -1);
    exposed.close();
  },
});

Deno.test({
  name: "MappedMemory.map() maps for reading only, but for the bytes that it is told",
  ignore: !LINUX,
  fn() {
    const before = mappings().length;
    const { memory } = makeMemory(3);
    const exposed = expose(memory);
    const mapped = [MappedMemory.map(exposed.offer), MappedMemory.map(exposed.offer, PAGE)];
    const added = mappings().map(({ access, bytes }) => `${access} ${bytes / PAGE}`).sort();
    assert.equal(mappings().length, before + 4);
    for (const part of ["r--s 2", "r--s 3", "rw-s 1", "rw-s 3"]) assert.ok(added.includes(part), part);
    for (const one of mapped) one?.unmap();
    exposed.close();
  },
});

Deno.test({
  name: "MappedMemory.map() refuses another host, another token, other sizes, and files that are no offers",
  ignore: !LINUX,
  fn() {
    const { memory } = makeMemory(2);
    const exposed = expose(memory);
    const { offer } = exposed;
    const path = Deno.makeTempFileSync();
    const file = Deno.openSync(path);
    try {
      for (
        const wrong of [
          { bootId: "another" },
          { token: "0".repeat(32) },
          { to: offer.to + PAGE },
          { to: offer.to - PAGE },
          { from: 1 },
          { from: offer.to },
          { fd: 99_999 },
          { fd: 0 },
        ]
      ) {
        assert.equal(MappedMemory.map({ ...offer, ...wrong }), null, JSON.stringify(wrong));
      }
      exposed.close();
      assert.equal(MappedMemory.map(offer), null);
    } finally {
      file.close();
      Deno.removeSync(path);
    }
  },
});
