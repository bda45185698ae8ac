import assert from "node:assert/strict";
import { rendezvousEndpoint } from "../../../coordinator/launch/rendezvous.ts";

const WIDE = ["0.0.0.0:29500", "*:29500", "10.0.0.1:29500", "[::]:29500", "train.example:29500"];

Deno.test("rendezvousEndpoint() listens on this machine only, unless there are keys or it is to be insecure", () => {
  assert.equal(rendezvousEndpoint("127.0.0.1:29500"), "tcp://127.0.0.1:29500");
  assert.equal(rendezvousEndpoint("localhost:1"), "tcp://127.0.0.1:1");
  for (const wide of WIDE) {
    assert.throws(() => rendezvousEndpoint(wide), { code: "E_KEY", message: /keygen/ }, wide);
    assert.equal(rendezvousEndpoint(wide, { keys: true, insecure: false }), `tcp://${wide}`);
    assert.equal(rendezvousEndpoint(wide, { keys: false, insecure: true }), `tcp://${wide}`);
  }
});

Deno.test("rendezvousEndpoint() refuses what is no HOST:PORT", () => {
  for (
    const bad of ["", "127.0.0.1", "127.0.0.1:", ":29500", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x"]
  ) {
    assert.throws(() => rendezvousEndpoint(bad), { code: "E_CONFIG" }, bad);
  }
});
