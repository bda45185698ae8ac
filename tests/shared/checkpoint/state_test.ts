import assert from "node:assert/strict";
import { canonicalHash, sha256 } from "../../../shared/hash.ts";
import { type CheckpointState, encodeState, parseState } from "../../../shared/checkpoint/state.ts";

const state: CheckpointState = {
  format: 1,
  step: 12,
  state_hash: sha256("state"),
  config_hash: sha256("config"),
  val_loss: null,
  best_val_loss: 1.25,
  data_position: { epoch: 1, "10": [true, null] },
  files: { "model.safetensors": { bytes: 3, sha256: sha256("abc") } },
};

Deno.test("parseState() reads what encodeState() wrote", () => {
  assert.deepEqual(parseState(encodeState(state)), state);
});

Deno.test("parseState() refuses a text that says the same in other bytes", () => {
  const text = encodeState(state);
  assert.throws(() => parseState(text.trimEnd()), { message: "its text is not as it was written" });
  assert.throws(() => parseState(text.replace("1.25", "1.250")), {
    message: "its text is not as it was written",
  });
  assert.throws(() => parseState(text.replace("1.25", "1.26")), { message: "its own SHA-256 does not fit" });
});

Deno.test("parseState() refuses fields of another format, however well they hash", () => {
  const sealed = (fields: Record<string, unknown>) =>
    JSON.stringify({ ...fields, sha256: canonicalHash(fields) });
  assert.throws(() => parseState(sealed({ ...state, format: 2 })), { message: /^its "format" is wrong: / });
  assert.throws(() => parseState(sealed({ ...state, more: 1 })), { message: /more/ });
  assert.throws(() => parseState("[]"), { message: / is wrong: / });
});
