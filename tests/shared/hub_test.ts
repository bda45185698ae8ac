import assert from "node:assert/strict";
import { join } from "node:path";
import { findOnHub } from "../../shared/hub.ts";
import { openWeights, readWeights } from "../../shared/weights.ts";
import { serveFolder } from "../browser/static_server.ts";
import { hfFixture } from "../fixtures.ts";
import { inTempDir } from "./temp_dir.ts";

/** Runs `test` with an empty HF_HUB_CACHE and the given HF_ENDPOINT, and sets the environment again. */
async function withHub(
  test: (dir: string) => Promise<void>,
  { endpoint }: { endpoint?: string } = {},
): Promise<void> {
  const before = ["HF_HUB_CACHE", "HF_ENDPOINT"].map((name) => [name, Deno.env.get(name)] as const);
  await inTempDir(async (dir) => {
    Deno.env.set("HF_HUB_CACHE", dir);
    if (endpoint === undefined) Deno.env.delete("HF_ENDPOINT");
    else Deno.env.set("HF_ENDPOINT", endpoint);
    await test(dir);
  }).finally(() => {
    for (const [name, value] of before) {
      value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
    }
  });
}

Deno.test("findOnHub() finds gpt2 in Hugging Face's cache, by its old name and its new one", async () => {
  for (const name of ["models--gpt2", "models--openai-community--gpt2"]) {
    await withHub(async (cache) => {
      const snapshot = join(cache, name, "snapshots", "607a30d783dfa663caf39e06633721c8d4cfcd7e");
      await Deno.mkdir(snapshot, { recursive: true });
      await Deno.mkdir(join(cache, name, "refs"));
      await Deno.writeTextFile(join(cache, name, "refs", "main"), "607a30d783dfa663caf39e06633721c8d4cfcd7e");
      await Deno.copyFile(
        join(hfFixture("hf-gpt2-tiny"), "model.safetensors"),
        join(snapshot, "model.safetensors"),
      );
      assert.equal(await findOnHub("gpt2"), snapshot);
    });
  }
});

Deno.test("findOnHub() refuses gpt2 where there is neither a cache nor a host, and takes paths for paths", () =>
  withHub(async (cache) => {
    await assert.rejects(findOnHub("gpt2"), { code: "E_WEIGHTS", message: /set HF_ENDPOINT/ });
    for (const path of ["out/gpt2", "./gpt2", "out", cache]) assert.equal(await findOnHub(path), null);
  }));

Deno.test("findOnHub() fetches gpt2 from HF_ENDPOINT into the cache, once", () =>
  inTempDir(async (host) => {
    const files = join(host, "openai-community", "gpt2", "resolve", "main");
    await Deno.mkdir(files, { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(join(hfFixture("hf-gpt2-tiny"), name), join(files, name));
    }
    let folder = "";
    await withHub(async (cache) => {
      const server = serveFolder(host);
      Deno.env.set("HF_ENDPOINT", server.url);
      folder = await findOnHub("gpt2") ?? "";
      assert.ok(folder.startsWith(cache));
      const expected = await readWeights(await openWeights(hfFixture("hf-gpt2-tiny")));
      assert.deepEqual(await readWeights(await openWeights(folder)), expected);
      await server[Symbol.asyncDispose]();
      assert.equal(await findOnHub("gpt2"), folder); // the host is gone
      await assert.rejects(findOnHub("gpt2-xl"), { code: "E_WEIGHTS", message: /^Cannot fetch / });
    });
  }));

Deno.test("findOnHub() leaves nothing that looks complete where a host lacks the weights", () =>
  inTempDir(async (host) => {
    const files = join(host, "openai-community", "gpt2", "resolve", "main");
    await Deno.mkdir(files, { recursive: true });
    await Deno.copyFile(join(hfFixture("hf-gpt2-tiny"), "config.json"), join(files, "config.json"));
    await using server = serveFolder(host);
    await withHub(async (cache) => {
      await assert.rejects(findOnHub("gpt2"), { message: /model\.safetensors\.index\.json/ });
      await assert.rejects(
        Deno.stat(join(cache, "models--openai-community--gpt2", "refs")),
        Deno.errors.NotFound,
      );
    }, { endpoint: server.url });
  }));
