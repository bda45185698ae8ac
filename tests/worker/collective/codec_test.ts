import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import { decodeHeader, encodeHeader, HEADER_BYTES, PHASES } from "../../../worker/collective/codec.ts";

const word = fc.nat({ max: 0xffff_ffff });
const header = fc.record({
  nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  generation: word,
  step: word,
  attempt: word,
  phase: fc.constantFrom(...PHASES),
  sender: fc.nat(0xffff),
  bucket: word,
  offset: word,
  position: fc.option(word),
  length: word,
  hash: fc.uint32Array({ minLength: 4, maxLength: 4 }),
}, { noNullPrototype: true });

Deno.test("decodeHeader() gives back what encodeHeader() wrote", () => {
  fc.assert(fc.property(header, (value) => {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader(value, bytes);
    assert.deepEqual(decodeHeader(bytes), value);
  }));
});

Deno.test("decodeHeader() reads or refuses any bytes, and refuses short ones with E_SHORT", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: HEADER_BYTES }), (bytes) => {
    try {
      decodeHeader(bytes);
      assert.equal(bytes.length, HEADER_BYTES);
    } catch (error) {
      assert.ok(error instanceof LockstepError);
      assert.equal(error.code, bytes.length < HEADER_BYTES ? "E_SHORT" : "E_DECODE");
    }
  }));
});
