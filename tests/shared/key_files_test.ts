import assert from "node:assert/strict";
import { join } from "node:path";
import {
  isOthersToUse,
  keyFileName,
  readCoordinatorKeys,
  readMemberKeys,
  writeKeyFiles,
} from "../../shared/key_files.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { inTempDir } from "./temp_dir.ts";
import { zmqTest } from "./zmq/zmq_test_support.ts";

const HAS_MODES = Deno.build.os !== "windows";
const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o777;

zmqTest(
  "writeKeyFiles() writes a file of mode 0600 for each role, which are read by folder or path",
  () =>
    inTempDir(async (dir) => {
      const folder = join(dir, "keys"), keys = makeRunKeys();
      const paths = await writeKeyFiles(folder, keys);
      assert.deepEqual(paths.map((path) => path.slice(folder.length + 1)), [
        "coordinator.key",
        "worker.key",
        "admin.key",
      ]);
      if (HAS_MODES) assert.deepEqual([folder, ...paths].map(modeOf), [0o700, 0o600, 0o600, 0o600]);
      assert.deepEqual(await readCoordinatorKeys(folder), keys.coordinator);
      assert.deepEqual(await readMemberKeys(folder, "admin"), keys.admin);
      assert.deepEqual(await readMemberKeys(join(folder, keyFileName("worker")), "worker"), keys.worker);
    }),
);

zmqTest("writeKeyFiles() replaces no keys", () =>
  inTempDir(async (dir) => {
    const keys = makeRunKeys();
    await writeKeyFiles(dir, keys);
    await assert.rejects(writeKeyFiles(dir, makeRunKeys()), { code: "E_KEY", message: /some already/ });
    assert.deepEqual(await readCoordinatorKeys(dir), keys.coordinator);
  }));

zmqTest("readMemberKeys() refuses files that others may use, by their mode", () =>
  inTempDir(async (dir) => {
    if (!HAS_MODES) return;
    await writeKeyFiles(dir, makeRunKeys());
    const file = join(dir, "worker.key");
    for (const mode of [0o640, 0o604, 0o660, 0o601, 0o620, 0o666]) {
      Deno.chmodSync(file, mode);
      await assert.rejects(readMemberKeys(dir, "worker"), {
        code: "E_KEY",
        message: `Cannot use the keys in ${file} as others than its owner may use it ` +
          `(mode 0${mode.toString(8)}): run chmod 600 ${file}`,
      });
    }
    for (const mode of [0o600, 0o400]) {
      Deno.chmodSync(file, mode);
      assert.equal((await readMemberKeys(dir, "worker")).role, "worker");
    }
  }));

Deno.test("isOthersToUse() lets a user's group read what is root's, as a Secret of Kubernetes is, and nothing else", () => {
  const [root, user] = [0, 1_000];
  for (const mode of [0o400, 0o440, 0o600, 0o640]) {
    assert.equal(isOthersToUse({ mode, owner: root, user }), false, mode.toString(8));
  }
  for (const mode of [0o444, 0o460, 0o450, 0o644, 0o604]) {
    assert.equal(isOthersToUse({ mode, owner: root, user }), true, mode.toString(8));
  }
  assert.equal(isOthersToUse({ mode: 0o440, owner: user, user }), true);
  assert.equal(isOthersToUse({ mode: 0o440, owner: root, user: root }), true);
  assert.equal(isOthersToUse({ mode: 0o400, owner: user, user }), false);
});

zmqTest(
  "readMemberKeys() refuses what is no file of keys: missing, a pipe, too large, binary",
  () =>
    inTempDir(async (dir) => {
      const file = join(dir, "worker.key");
      await assert.rejects(readMemberKeys(dir, "worker"), { code: "E_KEY", message: /no such file/ });
      await assert.rejects(readMemberKeys(join(dir, "gone"), "worker"), { code: "E_KEY" });
      Deno.writeFileSync(file, new Uint8Array((1 << 20) + 1), { mode: 0o600 });
      await assert.rejects(readMemberKeys(file, "worker"), { code: "E_KEY", message: /at most/ });
      Deno.writeFileSync(file, crypto.getRandomValues(new Uint8Array(500)));
      await assert.rejects(readMemberKeys(file, "worker"), { code: "E_KEY", message: /not complete/ });
      if (!HAS_MODES) return;
      const pipe = join(dir, "pipe");
      assert.ok(new Deno.Command("mkfifo", { args: ["-m", "600", pipe] }).outputSync().success);
      await assert.rejects(readMemberKeys(pipe, "worker"), { code: "E_KEY", message: /is no file/ });
    }),
);
