import assert from "node:assert/strict";
import { join } from "node:path";
import { gitRevision } from "../../shared/git_revision.ts";
import { inTempDir } from "./temp_dir.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

Deno.test("gitRevision() reads a branch, a packed branch and a detached head", async () => {
  await inTempDir(async (dir) => {
    await Deno.mkdir(join(dir, ".git", "refs", "heads"), { recursive: true });
    await Deno.writeTextFile(join(dir, ".git", "HEAD"), `${COMMIT}\n`);
    assert.equal(await gitRevision(dir), COMMIT);
    await Deno.writeTextFile(join(dir, ".git", "HEAD"), "ref: refs/heads/main\n");
    assert.equal(await gitRevision(dir), null);
    await Deno.writeTextFile(join(dir, ".git", "packed-refs"), `# pack-refs\n${COMMIT} refs/heads/main\n`);
    assert.equal(await gitRevision(dir), COMMIT);
    const newer = COMMIT.replaceAll("0", "f");
    await Deno.writeTextFile(join(dir, ".git", "refs", "heads", "main"), `${newer}\n`);
    assert.equal(await gitRevision(dir), newer);
  });
});

Deno.test("gitRevision() is null where there is no repository", async () => {
  await inTempDir(async (dir) => assert.equal(await gitRevision(dir), null));
});
