import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "../../../coordinator/cli/main.ts";
import { readCoordinatorKeys, readMemberKeys } from "../../../shared/key_files.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { zmqTest } from "../../shared/zmq/zmq_test_support.ts";

/** The exit status and what was printed. */
async function run(...args: string[]) {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => void printed.push(line);
  try {
    const output = {
      out: (line: string) => void printed.push(line),
      err: (line: string) => void printed.push(line),
    };
    return { status: await main(args, { output }), text: printed.join("\n") };
  } finally {
    console.log = log;
  }
}

zmqTest(
  "keygen writes keys that belong together, and prints where but nothing of them",
  () =>
    inTempDir(async (dir) => {
      const out = join(dir, "keys");
      const { status, text } = await run("keygen", `--out=${out}`);
      assert.equal(status, 0);
      assert.match(text, /coordinator\.key, .*worker\.key, .*admin\.key/);
      const coordinator = await readCoordinatorKeys(out);
      const worker = await readMemberKeys(out, "worker"), admin = await readMemberKeys(out, "admin");
      assert.deepEqual([coordinator.workers, coordinator.admins], [[worker.publicKey], [admin.publicKey]]);
      for (const { secretKey } of [coordinator, worker, admin]) assert.ok(!text.includes(secretKey));
      const again = await run("keygen", `--out=${out}`);
      assert.equal(again.status, 1);
      assert.match(again.text, /E_KEY: Cannot write keys to .* as there are some already/);
    }),
);
