import assert from "node:assert/strict";
import { Fingerprints } from "../../coordinator/fingerprints.ts";

const [A, B] = ["a".repeat(32), "b".repeat(32)];

function watch(options: { expected?: string; deterministic?: boolean }) {
  const said: string[] = [];
  const { expected = null, deterministic = false } = options;
  const warn = (sentence: string) => void said.push(sentence);
  return { fingerprints: new Fingerprints({ expected, deterministic, warn }), said };
}

Deno.test("Fingerprints.check() takes members that compute the same, and those that compute no step", () => {
  const { fingerprints, said } = watch({ deterministic: true });
  fingerprints.check("w0", A);
  fingerprints.check("w1", A);
  fingerprints.check("w2", null);
  assert.deepEqual([fingerprints.common, fingerprints.areAlike, said], [A, true, []]);
});

Deno.test("Fingerprints.check() warns once of a member that differs, and says who, what and what follows", () => {
  const { fingerprints, said } = watch({});
  fingerprints.check("w0", A);
  fingerprints.check("w1", B);
  fingerprints.check("w2", B);
  assert.equal(fingerprints.areAlike, false);
  assert.equal(said.length, 1);
  assert.match(said[0], /^w1 computes other bits than w0 .*depend on who computes what$/);
});

Deno.test("Fingerprints.check() refuses with E_NUMERICS under --deterministic, also against the run so far", () => {
  const { fingerprints } = watch({ expected: A, deterministic: true });
  assert.throws(() => fingerprints.check("w0", B), {
    code: "E_NUMERICS",
    message: /w0 .* than the run so far/,
  });
  assert.equal(fingerprints.common, A);
});
