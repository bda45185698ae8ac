import assert from "node:assert/strict";
import { join } from "node:path";
import { TokenFile } from "../../../shared/data/token_file.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { sha256 } from "../../../shared/hash.ts";

async function withFile(bytes: Uint8Array, test: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "train.bin");
    await Deno.writeFile(path, bytes);
    await test(path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function bytesOf(tokens: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(tokens).buffer);
}

function refusal(code: string, ...parts: string[]) {
  return (error: unknown) =>
    error instanceof LockstepError && error.code === code &&
    parts.every((part) => error.message.includes(part));
}

Deno.test("TokenFile.read() gives any range of a file larger than one piece", async () => {
  const tokens = Array.from({ length: 600_000 }, (_, i) => i % 60_000);
  await withFile(bytesOf(tokens), async (path) => {
    const file = await TokenFile.open(path, { vocabSize: 60_000, least: 10 });
    const into = new Uint16Array(1_000);
    file.read(599_000, into);
    assert.deepEqual([...into], tokens.slice(599_000));
    file.read(3, into);
    assert.deepEqual([...into], tokens.slice(3, 1_003));
    assert.equal(file.length, 600_000);
    assert.equal(file.sha256, sha256(bytesOf(tokens)));
    file.close();
  });
});

Deno.test("TokenFile.open() names file, place and value of a token beyond the vocabulary", async () => {
  const tokens = new Array(530_000).fill(1);
  tokens[525_000] = 65;
  await withFile(bytesOf(tokens), async (path) => {
    await assert.rejects(
      TokenFile.open(path, { vocabSize: 65, least: 1 }),
      refusal("E_TOKEN", path, "size 65", "token 525000 is 65"),
    );
    const file = await TokenFile.open(path, { vocabSize: 66, least: 1 });
    file.close();
  });
});

Deno.test("TokenFile.open() refuses a missing, odd, short or other file", async () => {
  await withFile(bytesOf([1, 2, 3, 4]), async (path) => {
    const open = (options: Partial<Parameters<typeof TokenFile.open>[1]>) =>
      TokenFile.open(path, { vocabSize: 10, least: 1, ...options });
    await assert.rejects(
      TokenFile.open(path + "x", { vocabSize: 10, least: 1 }),
      refusal("E_DATA", "train.binx", "prepare"),
    );
    await assert.rejects(open({ least: 5 }), refusal("E_DATA", "more than block_size = 4", "holds 4"));
    const sha = sha256(bytesOf([1, 2, 3, 4]));
    await assert.rejects(
      open({ expected: { tokens: 5, sha256: sha } }),
      refusal("E_DATA", "says 5 tokens", "holds 4"),
    );
    const other = "0".repeat(64);
    await assert.rejects(open({ expected: { tokens: 4, sha256: other } }), refusal("E_DATA", other, sha));
    (await open({ expected: { tokens: 4, sha256: sha } })).close();
  });
  await withFile(new Uint8Array(7), async (path) => {
    await assert.rejects(
      TokenFile.open(path, { vocabSize: 10, least: 1 }),
      refusal("E_DATA", "odd, 7 bytes"),
    );
  });
});

Deno.test("TokenFile.read() refuses a file that was cut after it was opened", async () => {
  await withFile(bytesOf([1, 2, 3, 4]), async (path) => {
    const file = await TokenFile.open(path, { vocabSize: 10, least: 1 });
    await Deno.truncate(path, 4);
    assert.throws(() => file.read(1, new Uint16Array(3)), refusal("E_DATA", "3 tokens at 1", "held 4"));
    file.close();
  });
});
