import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { sha256File } from "../../../shared/hash.ts";
import { type Dtype, encodeHeader } from "../../../shared/checkpoint/safetensors_header.ts";
import { readFlat, readHeader, readTensors, writeTensors } from "../../../shared/checkpoint/safetensors.ts";
import { inTempDir } from "../temp_dir.ts";

async function writeRaw(
  path: string,
  tensors: { name: string; dtype: Dtype; shape: number[]; bytes: ArrayBuffer }[],
) {
  const parts = [encodeHeader(tensors), ...tensors.map(({ bytes }) => new Uint8Array(bytes))];
  await Deno.writeFile(path, new Uint8Array(await new Blob(parts.map((part) => part.slice())).arrayBuffer()));
}

Deno.test("writeTensors() writes what readTensors() reads, data in the order given", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    await writeTensors(path, [
      { name: "z", shape: [2, 2], data: Float32Array.of(1, -0, NaN, 3e38) },
      { name: "1", shape: [], data: Int32Array.of(-7) },
      { name: "a", shape: [0], data: new Float32Array(0) },
    ], { metadata: { format: "pt" } });
    const { tensors, metadata, dataOffset } = await readHeader(path);
    assert.deepEqual(tensors.map(({ name, dtype }) => [name, dtype]), [["z", "F32"], ["1", "I32"], [
      "a",
      "F32",
    ]]);
    assert.equal(metadata.format, "pt");
    assert.equal(dataOffset % 8, 0);
    const read = await readTensors(path);
    assert.deepEqual([...read.keys()], ["z", "1", "a"]);
    assert.deepEqual(read.get("z"), { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, -0, NaN, 3e38) });
    assert.deepEqual(read.get("1")?.data, Int32Array.of(-7));
    assert.deepEqual((await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name), ["x.safetensors"]);
  });
});

Deno.test("writeTensors() writes the bytes that the safetensors package of Python writes", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    await writeTensors(path, [{ name: "w", shape: [1, 3], data: Float32Array.of(1, 2, 3) }]);
    // save({"w": numpy.array([[1, 2, 3]], numpy.float32)}) of safetensors 0.8.0
    const header = '{"w":{"dtype":"F32","shape":[1,3],"data_offsets":[0,12]}}       ';
    const bytes = await Deno.readFile(path);
    assert.deepEqual(bytes.subarray(0, 8), Uint8Array.of(64, 0, 0, 0, 0, 0, 0, 0));
    assert.equal(new TextDecoder().decode(bytes.subarray(8, 72)), header);
    assert.deepEqual(new Float32Array(bytes.slice(72).buffer), Float32Array.of(1, 2, 3));
  });
});

Deno.test("writeTensors() refuses data that does not fill its shape and leaves no file", async () => {
  await inTempDir(async (dir) => {
    const tensor = { name: "w", shape: [2, 2], data: new Float32Array(3) };
    await assert.rejects(writeTensors(join(dir, "x"), [tensor]), {
      code: "E_WEIGHTS",
      message: 'Cannot write tensor "w": shape [2,2] needs 4 elements, it has 3',
    });
    assert.deepEqual(await Array.fromAsync(Deno.readDir(dir)), []);
  });
});

const EXAMPLES: { dtype: Dtype; bytes: ArrayBuffer; data: Float32Array | Int32Array }[] = [
  { dtype: "F64", bytes: Float64Array.of(0.1, -2).buffer, data: Float32Array.of(0.1, -2) },
  {
    dtype: "F16",
    bytes: Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00).buffer,
    data: Float32Array.of(1, -2, 2 ** -24, Infinity),
  },
  {
    dtype: "BF16",
    bytes: Uint16Array.of(0x3f80, 0xc040, 0x0001).buffer,
    data: Float32Array.of(1, -3, 2 ** -133),
  },
  { dtype: "I64", bytes: BigInt64Array.of(-1n, 2147483647n).buffer, data: Int32Array.of(-1, 2147483647) },
  { dtype: "I16", bytes: Int16Array.of(-300).buffer, data: Int32Array.of(-300) },
  { dtype: "I8", bytes: Int8Array.of(-3).buffer, data: Int32Array.of(-3) },
  { dtype: "U32", bytes: Uint32Array.of(7).buffer, data: Int32Array.of(7) },
  { dtype: "U16", bytes: Uint16Array.of(65535).buffer, data: Int32Array.of(65535) },
  { dtype: "U8", bytes: Uint8Array.of(255).buffer, data: Int32Array.of(255) },
  { dtype: "BOOL", bytes: Uint8Array.of(1, 0).buffer, data: Int32Array.of(1, 0) },
];
for (const { dtype, bytes, data } of EXAMPLES) {
  Deno.test(`readTensors() reads ${dtype} as ${data.constructor.name}`, async () => {
    await inTempDir(async (dir) => {
      const path = join(dir, "x.safetensors");
      await writeRaw(path, [{ name: "t", dtype, shape: [data.length], bytes }]);
      assert.deepEqual((await readTensors(path)).get("t"), { dtype, shape: [data.length], data });
    });
  });
}

for (
  const [dtype, bytes] of [["I64", BigInt64Array.of(2147483648n)], [
    "U32",
    Uint32Array.of(2147483648),
  ]] as const
) {
  Deno.test(`readTensors() refuses ${dtype} values above 32 bits`, async () => {
    await inTempDir(async (dir) => {
      const path = join(dir, "x.safetensors");
      await writeRaw(path, [{ name: "t", dtype, shape: [1], bytes: bytes.buffer }]);
      await assert.rejects(readTensors(path), {
        code: "E_WEIGHTS",
        message: /"t" a value must fit .* it is 2147483648/,
      });
    });
  });
}

Deno.test("readFlat() fills several arrays with the data as it lies", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    await writeTensors(path, [
      { name: "m", shape: [3], data: Float32Array.of(1, 2, 3) },
      { name: "v", shape: [2], data: Float32Array.of(4, 5) },
    ]);
    const targets = [new Float32Array(2), new Float32Array(3)];
    const { tensors } = await readFlat(path, targets);
    assert.deepEqual(targets, [Float32Array.of(1, 2), Float32Array.of(3, 4, 5)]);
    assert.equal(tensors.length, 2);
    await assert.rejects(readFlat(path, [new Float32Array(4)]), {
      message: /must hold 4 elements: it holds 5/,
    });
    await writeTensors(path, [{ name: "i", shape: [1], data: Int32Array.of(1) }]);
    await assert.rejects(readFlat(path, [new Float32Array(1)]), { message: /must be F32: "i" is I32/ });
  });
});

Deno.test("readTensors() refuses a file that is cut at any byte or has one more", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    await writeTensors(path, [{ name: "w", shape: [2], data: Float32Array.of(1, 2) }]);
    const whole = await Deno.readFile(path);
    for (let length = 0; length < whole.length; length++) {
      await Deno.writeFile(path, whole.subarray(0, length));
      await assert.rejects(readTensors(path), { code: "E_WEIGHTS" }, `cut to ${length}`);
    }
    await Deno.writeFile(path, Uint8Array.of(...whole, 0));
    await assert.rejects(readTensors(path), { code: "E_WEIGHTS" });
  });
});

Deno.test("readHeader() bounds the header by 8 MiB and by the file before it reads it", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    const file = new Uint8Array(16);
    new DataView(file.buffer).setBigUint64(0, 1n << 62n, true);
    await Deno.writeFile(path, file);
    await assert.rejects(readHeader(path), {
      message: /may have 8 bytes here: its length says 4611686018427387904/,
    });
    await Deno.truncate(path, 10 << 20);
    await assert.rejects(readHeader(path), { message: /may have 8388608 bytes here/ });
  });
});

Deno.test("readHeader() names a file that is not there", async () => {
  await assert.rejects(readHeader("/nowhere/x.safetensors"), {
    code: "E_WEIGHTS",
    message: "Cannot read /nowhere/x.safetensors as there is no such file",
  });
});

Deno.test("readTensors() reads or refuses mutated files, and throws nothing but E_WEIGHTS", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    await writeTensors(path, [{ name: "w", shape: [2], data: Float32Array.of(1, 2) }]);
    const whole = await Deno.readFile(path);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 3 }),
        async (edits) => {
          const bytes = whole.slice();
          for (const [at, value] of edits) bytes[at] = value;
          await Deno.writeFile(path, bytes);
          await readTensors(path).catch((error) =>
            assert(error instanceof LockstepError && error.code === "E_WEIGHTS")
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

const FIXTURE =
  new URL("../../../../shared/fixtures/nanogpt-6l-small/weights.safetensors", import.meta.url).pathname;
const there = await Deno.stat(FIXTURE).then(() => true, () => false);
Deno.test({
  name: `writeTensors() repeats the data of a file that Python wrote${
    there ? "" : " (skipped: ../shared/fixtures is absent)"
  }`,
  ignore: !there,
  async fn() {
    await inTempDir(async (dir) => {
      const read = await readTensors(FIXTURE);
      const copy = join(dir, "copy.safetensors");
      await writeTensors(copy, [...read].map(([name, { shape, data }]) => ({ name, shape, data })));
      assert.deepEqual(await readTensors(copy), read);
      assert.match(await sha256File(copy), /^[0-9a-f]{64}$/);
    });
  },
});
