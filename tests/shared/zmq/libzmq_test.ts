import assert from "node:assert/strict";
import { zmqTest } from "./zmq_test_support.ts";
import { loadLibzmq } from "../../../shared/zmq/libzmq.ts";

zmqTest("loadLibzmq() opens the library once for a thread", () => {
  assert.equal(loadLibzmq(), loadLibzmq());
});

zmqTest("loadLibzmq() finds a library that makes CURVE keys", () => {
  const publicKey = new Uint8Array(41), secretKey = new Uint8Array(41);
  assert.equal(loadLibzmq().zmq_curve_keypair(publicKey, secretKey), 0);
  assert.match(new TextDecoder().decode(publicKey), /^[!-~]{40}\0$/);
});

Deno.test("loadLibzmq() without FFI says in one sentence what was tried and what to do", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", "--deny-ffi", "load_libzmq_child.ts"],
    cwd: import.meta.dirname,
  }).output();
  assert.match(
    new TextDecoder().decode(stdout),
    /^LockstepError: Cannot load libzmq, .*npm:zeromq@.*--allow-ffi.*--nproc-per-node=1\)\n$/,
  );
});
