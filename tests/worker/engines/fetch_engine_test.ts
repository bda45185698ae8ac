import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ENGINE_PACKAGES } from "../../../worker/engines/engine_packages.ts";
import { fetchEngine, hasPackage } from "../../../worker/engines/fetch_engine.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const LOCK = fileURLToPath(new URL("../../../deno.lock", import.meta.url));

/** With the cache folder in `dir`. */
async function withCache<T>(dir: string, work: () => Promise<T>): Promise<T> {
  const before = Deno.env.get("XDG_CACHE_HOME");
  // Deno's own cache has another variable or place: nothing is fetched twice.
  const denoDir = Deno.env.get("DENO_DIR");
  if (denoDir === undefined) {
    Deno.env.set("DENO_DIR", join(before ?? join(Deno.env.get("HOME") ?? "", ".cache"), "deno"));
  }
  Deno.env.set("XDG_CACHE_HOME", dir);
  try {
    return await work();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    if (denoDir === undefined) Deno.env.delete("DENO_DIR");
  }
}

Deno.test("fetchEngine() has nothing to do for the engines of deno.json and a user's own", async () => {
  for (const name of ["onnx", "reference", "./my_engine.ts", "constructor"]) {
    assert.deepEqual([hasPackage(name), await fetchEngine(name)], [false, []]);
  }
});

Deno.test("fetchEngine() notes a package in a lock file of its own, and the program's stays as it is", () =>
  inTempDir((dir) =>
    withCache(dir, async () => {
      const before = await Deno.readTextFile(LOCK);
      const [first, ...rest] = await fetchEngine("webgpu");
      assert.deepEqual(rest, []);
      const path = first.replace(/^--lock=/, "");
      const own = JSON.parse(await Deno.readTextFile(path));
      const known = JSON.parse(before);
      const [, name, version] = /^npm:(.+)@(.+)$/.exec(ENGINE_PACKAGES.webgpu) ?? [];
      const added = Object.keys(own.specifiers).filter((key) => !Object.hasOwn(known.specifiers, key));
      assert.deepEqual(added, [`npm:${name}@${version}`]);
      // Packages for types alone, which compute nothing, Deno may link otherwise and leave out.
      const kept = Object.keys(known.npm).filter((key) => !/^@types\/|^undici-types@/.test(key));
      assert.ok(kept.length > 50);
      for (const key of kept) assert.equal(own.npm[key]?.integrity, known.npm[key].integrity, key);
      assert.deepEqual(await fetchEngine("webgpu"), [first]);
      assert.deepEqual([...Deno.readDirSync(join(dir, "lockstep", "locks"))].length, 1);
      assert.equal(await Deno.readTextFile(LOCK), before);
    })
  ));
