import assert from "node:assert/strict";
import fc from "fast-check";
import { curveClient, encodeZ85, isKey, makeKeyPair, publicKeyOf } from "../../../shared/zmq/curve.ts";
import { Context } from "../../../shared/zmq/socket.ts";
import { zmqTest } from "./zmq_test_support.ts";

zmqTest("makeKeyPair() makes another pair each time, whose public key follows from the secret one", () => {
  const [a, b] = [makeKeyPair(), makeKeyPair()];
  assert.ok([a.publicKey, a.secretKey, b.publicKey, b.secretKey].every(isKey));
  assert.equal(publicKeyOf(a.secretKey), a.publicKey);
  assert.notEqual(a.publicKey, b.publicKey);
});

zmqTest("publicKeyOf() refuses what is no key with E_KEY and does not repeat it", () => {
  const message = "Cannot use a secret key that is not 40 characters of Z85";
  for (const bad of ["", "secret", "~".repeat(40), "#".repeat(40), "0".repeat(41)]) {
    assert.throws(() => publicKeyOf(bad), { code: "E_KEY", message });
  }
});

zmqTest("Context.socket() names the option of a bad secret key, not the key", async () => {
  const context = new Context();
  const { publicKey } = makeKeyPair();
  const secretKey = "this is no key".padEnd(40, "~");
  assert.throws(() => context.socket("dealer", curveClient({ publicKey, secretKey }, publicKey)), {
    code: "E_ZMQ",
    message: "Cannot set the socket option curveSecretKey: Invalid argument",
  });
  await context.close();
});

Deno.test("encodeZ85() gives the RFC's example", () => {
  assert.equal(encodeZ85(new Uint8Array([0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b])), "HelloWorld");
});

Deno.test("isKey() takes every 32 bytes in Z85 and no other text", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    (bytes) => isKey(encodeZ85(bytes)),
  ));
  for (const bad of ["", "0".repeat(39), "0".repeat(41), "~".repeat(40), "#".repeat(40), "é".repeat(40)]) {
    assert.equal(isKey(bad), false, bad);
  }
});
