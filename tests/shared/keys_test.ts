import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../shared/errors.ts";
import { decodeCoordinatorKeys, decodeMemberKeys, encodeKeys, makeRunKeys } from "../../shared/keys.ts";
import { zmqTest } from "./zmq/zmq_test_support.ts";

const source = "a test";

zmqTest("decodeCoordinatorKeys() and decodeMemberKeys() read what encodeKeys() wrote, on one line", () => {
  const keys = makeRunKeys();
  assert.deepEqual(decodeCoordinatorKeys(encodeKeys(keys.coordinator), source), keys.coordinator);
  for (const role of ["worker", "admin"] as const) {
    assert.deepEqual(decodeMemberKeys(encodeKeys(keys[role]), { role, source }), keys[role]);
    assert.ok(!encodeKeys(keys[role]).includes("\n"));
  }
  assert.deepEqual(keys.coordinator.workers, [keys.worker.publicKey]);
  assert.deepEqual(keys.coordinator.admins, [keys.admin.publicKey]);
});

zmqTest("decodeMemberKeys() refuses another role's keys and a pair that does not belong together", () => {
  const { worker, admin, coordinator } = makeRunKeys();
  assert.throws(() => decodeMemberKeys(encodeKeys(admin), { role: "worker", source }), {
    code: "E_KEY",
    message: /^Cannot use the keys in a test as they are for the role admin: .* role worker/,
  });
  assert.throws(() => decodeMemberKeys(encodeKeys(coordinator), { role: "worker", source }), {
    code: "E_KEY",
  });
  assert.throws(() => decodeCoordinatorKeys(encodeKeys(worker), source), { code: "E_KEY" });
  const mixed = { ...worker, publicKey: admin.publicKey };
  assert.throws(() => decodeMemberKeys(encodeKeys(mixed), { role: "worker", source }), {
    message: /public key is not that of the secret key/,
  });
});

zmqTest("decodeMemberKeys() refuses every damaged text with E_KEY, and says nothing of what it holds", () => {
  const { worker } = makeRunKeys();
  const text = encodeKeys(worker);
  const damaged = fc.oneof(
    fc.tuple(fc.nat({ max: text.length - 1 }), fc.string({ maxLength: 3 }), fc.nat({ max: 9 })).map(
      ([at, put, cut]) => text.slice(0, at) + put + text.slice(at + cut),
    ),
    fc.string({ maxLength: 300 }),
    fc.json(),
  );
  fc.assert(
    fc.property(damaged, (given) => {
      try {
        assert.deepEqual(decodeMemberKeys(given, { role: "worker", source }).secretKey, worker.secretKey);
      } catch (error) {
        assert.ok(error instanceof LockstepError && error.code === "E_KEY", String(error));
        assert.ok(error.message.length < 200 && !error.message.includes(worker.secretKey.slice(0, 8)));
      }
    }),
    { numRuns: 2_000 },
  );
});
