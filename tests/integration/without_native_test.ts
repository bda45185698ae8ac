import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { assertRefused, sandbox, TINY } from "./support.ts";

const RUN = [...TINY, "--max_iters=2"];

Deno.test("train without --allow-ffi runs in one process on an engine without native code, and says what that costs", async () => {
  await using box = await sandbox();
  const permissions = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const ended = await box.run(["train", ...RUN, "--out_dir=run"], { permissions });
  assert.equal(ended.code, 0, ended.err);
  const [first] = ended.out.split("\n");
  assert.match(
    first,
    /engine reference, 1 worker × 1 thread .*many times slower, because --allow-ffi is denied/,
  );
  const two = await box.run(["train", ...RUN, "--nproc_per_node=2"], { permissions });
  assertRefused(two, { status: 1, code: "E_ZMQ", words: ["--allow-ffi", "--nproc-per-node=1"] });
  const onnx = await box.run(["train", ...RUN, "--engine=onnx"], { permissions });
  assertRefused(onnx, { status: 1, code: "E_ENGINE", words: ["--allow-ffi", "--engine=reference"] });
});

Deno.test("train where libzmq does not load runs in one process on onnx, says why, and refuses two workers", async () => {
  await using box = await sandbox();
  const zeromq = dirname(fileURLToPath(import.meta.resolve("zeromq/package.json")));
  const permissions = ["-A", `--deny-ffi=${zeromq}`];
  const ended = await box.run(["train", ...RUN, "--out_dir=run"], { permissions });
  assert.equal(ended.code, 0, ended.err);
  assert.match(
    ended.out.split("\n")[0],
    /engine onnx, 1 worker × 1 thread .*one process as libzmq does not load here/,
  );
  const two = await box.run(["train", ...RUN, "--nproc_per_node=2"], { permissions });
  assertRefused(two, { status: 1, code: "E_ZMQ", words: ["libzmq", "--nproc-per-node=1"] });
});

Deno.test("train without --allow-run runs in one process, says why, and refuses two workers", async () => {
  await using box = await sandbox();
  const permissions = ["-A", "--deny-run"];
  const ended = await box.run(["train", ...RUN, "--out_dir=run"], { permissions });
  assert.equal(ended.code, 0, ended.err);
  assert.match(ended.out.split("\n")[0], /1 worker × 1 thread .*one process as --allow-run is denied/);
  const two = await box.run(["train", ...RUN, "--nproc_per_node=2"], { permissions });
  assertRefused(two, { status: 2, code: "E_WORLD_SIZE", words: ["--allow-run"] });
});
