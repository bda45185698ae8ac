import assert from "node:assert/strict";
import { join } from "node:path";
import { compileOnnx } from "../../../worker/compiler/compile_cache.ts";
import type { ProgramSpec } from "../../../worker/compiler/compile.ts";
import { inTempDir, namesIn } from "../../shared/temp_dir.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";

const PLACES = ["XDG_CACHE_HOME", "HOME", "USERPROFILE"];

/** Runs `work` with these places for caches in the environment, and restores those of the process. */
async function withPlaces(places: Record<string, string>, work: () => Promise<void>): Promise<void> {
  const before = PLACES.map((name) => [name, Deno.env.get(name)] as const);
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  for (const name of PLACES) set(name, places[name]);
  try {
    await work();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

const inCache = (work: (programs: string) => Promise<void>) =>
  inTempDir((dir) => withPlaces({ XDG_CACHE_HOME: dir }, () => work(join(dir, "lockstep", "programs"))));

async function spec(changes: Partial<ProgramSpec> = {}): Promise<ProgramSpec> {
  const model = await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.1 }));
  return { kind: "train", model, shape: { batchSize: 1, length: 2 }, ...changes };
}

Deno.test("compileOnnx() takes the second time from the cache: the same bytes and dropout sites", () =>
  inCache(async (programs) => {
    const first = await compileOnnx(await spec(), 1);
    const names = await namesIn(programs);
    assert.deepEqual(names.map((name) => name.replace(/^[0-9a-f]{64}/, "KEY")), ["KEY.json", "KEY.onnx"]);
    assert.ok(first.sites.length > 0);
    assert.deepEqual(await compileOnnx(await spec(), 1), first);
    assert.deepEqual(await namesIn(programs), names);

    // Proof that it is read: an entry is not written again.
    const path = join(programs, names[0]);
    await Deno.utime(path, 1, 1);
    await compileOnnx(await spec(), 1);
    assert.equal((await Deno.stat(path)).mtime?.getTime(), 1000);
  }));

const DAMAGE: Record<string, (file: { json: string; onnx: string }) => Promise<void>> = {
  "a flipped bit": async ({ onnx }) => {
    const bytes = await Deno.readFile(onnx);
    bytes[bytes.length >> 1] ^= 1;
    await Deno.writeFile(onnx, bytes);
  },
  "a cut file": ({ onnx }) => Deno.truncate(onnx, 100),
  "no program": ({ onnx }) => Deno.remove(onnx),
  "no description": ({ json }) => Deno.remove(json),
  "a cut description": ({ json }) => Deno.truncate(json, 10),
  "a description of something else": ({ json }) => Deno.writeTextFile(json, "null"),
  "a description that was changed": async ({ json }) =>
    Deno.writeTextFile(json, (await Deno.readTextFile(json)).replace(/"outer":\d+/, '"outer":7')),
};

for (const [title, damage] of Object.entries(DAMAGE)) {
  Deno.test(`compileOnnx() compiles an entry with ${title} again, and mends it`, () =>
    inCache(async (programs) => {
      const first = await compileOnnx(await spec(), 1);
      const [json, onnx] = (await namesIn(programs)).map((name) => join(programs, name));
      const sound = await Deno.readFile(onnx);
      await damage({ json, onnx });
      assert.deepEqual(await compileOnnx(await spec(), 1), first);
      assert.deepEqual(await Deno.readFile(onnx), sound);
      assert.deepEqual(await namesIn(programs).then((names) => names.length), 2);
    }));
}

Deno.test("compileOnnx() keeps apart what differs in kind, shape, configuration, source or threads", () =>
  inCache(async (programs) => {
    const base = await spec();
    const specs = [
      base,
      { ...base, kind: "forward" } as const,
      { ...base, shape: { batchSize: 2, length: 1 } },
      { ...base, model: await tinyModel(tinyConfig({ n_layer: 1, dropout: 0.2 })) },
      { ...base, model: { ...base.model, source: "another module" } },
    ];
    for (const each of specs) await compileOnnx(each, 1);
    await compileOnnx(base, 2);
    assert.equal((await namesIn(programs)).length, 2 * (specs.length + 1));
  }));

Deno.test("compileOnnx() works where there is no place for a cache, or none that can be written", async () => {
  await withPlaces({}, async () => {
    const [first, second] = [await compileOnnx(await spec(), 1), await compileOnnx(await spec(), 1)];
    assert.deepEqual(second, first);
  });
  await inTempDir(async (dir) => {
    const file = join(dir, "file");
    await Deno.writeTextFile(file, "in the way");
    await withPlaces({ XDG_CACHE_HOME: file }, async () => {
      assert.ok((await compileOnnx(await spec(), 1)).bytes.length > 1000);
    });
  });
});

Deno.test("compileOnnx() keeps its entries in HOME without XDG_CACHE_HOME", () =>
  inTempDir((dir) =>
    withPlaces({ HOME: dir }, async () => {
      await compileOnnx(await spec(), 1);
      const caches = Deno.build.os === "darwin" ? "Library/Caches" : ".cache";
      assert.equal((await namesIn(join(dir, caches, "lockstep", "programs"))).length, 2);
    })
  ));
