import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "../../shared/hash.ts";
import { moduleHash } from "../../worker/module_hash.ts";
import { inTempDir } from "../shared/temp_dir.ts";

const FILES = {
  "engine.ts": `import { a } from "./lib/a.ts";\nexport * from "./again.ts";\nexport const open = a;`,
  "again.ts": `import "./engine.ts"; // a cycle`,
  "lib/a.ts":
    `const later = import("../later.ts");\nexport const a = new URL('./table.json', import.meta.url);`,
  "later.ts": `import npm from "npm:left-pad@1.3.0";\nimport x from "./is_not_there.ts";`,
  "lib/table.json": `[1]`,
  "other.ts": `nobody imports this`,
};

async function writeAll(dir: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(dir, name)), { recursive: true });
    await Deno.writeTextFile(join(dir, name), text);
  }
  return await moduleHash(join(dir, "engine.ts"));
}

Deno.test("moduleHash() changes with every local file that is imported, however it is, and with no other", () =>
  inTempDir(async (dir) => {
    const before = await writeAll(dir, FILES);
    for (const [name, text] of Object.entries(FILES)) {
      const changed = await writeAll(dir, { [name]: `${text}\n` });
      assert.equal(changed !== before, name !== "other.ts", name);
      assert.equal(await writeAll(dir, { [name]: text }), before);
    }
  }));

Deno.test("moduleHash() is the same in another folder, and that of the file where it stands alone", () =>
  inTempDir(async (dir) => {
    assert.equal(await writeAll(join(dir, "a"), FILES), await writeAll(join(dir, "b", "c"), FILES));
    const alone = "export const open = () => null;";
    assert.equal(await writeAll(join(dir, "d"), { "engine.ts": alone }), sha256(alone));
  }));

Deno.test("moduleHash() leaves out Lockstep's own files, which an update changes", () =>
  inTempDir(async (dir) => {
    const own = fileURLToPath(new URL("../../worker/engines/reference.ts", import.meta.url));
    const text = `import { ReferenceEngine } from ${JSON.stringify(relative(dir, own))};`;
    assert.equal(await writeAll(dir, { "engine.ts": text }), sha256(text));
  }));

Deno.test("moduleHash() throws where the module itself cannot be read", async () => {
  await assert.rejects(moduleHash("./nowhere.ts"), Deno.errors.NotFound);
});
