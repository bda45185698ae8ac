import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { canonicalHash, canonicalJson, sha256, sha256File } from "../../shared/hash.ts";
import { inTempDir } from "./temp_dir.ts";

Deno.test("sha256() is that of FIPS 180-4", () => {
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(sha256(new TextEncoder().encode("abc")), sha256("abc"));
});

Deno.test("sha256File() is sha256() of the content, also above one piece", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x");
    for (const bytes of [0, 1, (1 << 20) + 17]) {
      const content = new Uint8Array(bytes).map((_, i) => i * 31);
      await Deno.writeFile(path, content);
      assert.equal(await sha256File(path), sha256(content));
    }
  });
});

Deno.test("canonicalJson() sorts keys at every depth and leaves undefined out", () => {
  assert.equal(
    canonicalJson({ b: [{ z: 1, a: null }], a: "é\n", c: undefined, B: -0, d: 1e21 }),
    '{"B":0,"a":"é\\n","b":[{"a":null,"z":1}],"d":1e+21}',
  );
});

Deno.test("canonicalJson() parses back to an equal value, whatever the order of the keys", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const text = canonicalJson(value);
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    const reversed = Object.fromEntries(Object.entries(value).reverse());
    assert.equal(canonicalHash(reversed), canonicalHash(value));
  }));
});

Deno.test("canonicalJson() refuses what JSON cannot say", () => {
  for (
    const value of [NaN, Infinity, 1n, undefined, () => 0, new Date(0), new Map(), [undefined], { a: NaN }]
  ) {
    assert.throws(() => canonicalJson(value), TypeError);
  }
});
