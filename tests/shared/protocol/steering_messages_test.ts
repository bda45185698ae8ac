import assert from "node:assert/strict";
import fc from "fast-check";
import { Packr } from "msgpackr/pack";
import { LockstepError } from "../../../shared/errors.ts";
import {
  type Command,
  decodeCommand,
  decodeStatus,
  encodeSteering,
  type Status,
} from "../../../shared/protocol/steering_messages.ts";

const COMMAND: Command = {
  type: "COMMAND",
  request: 1,
  name: "evict",
  words: ["worker-1"],
  by: "ada@host",
  again: false,
};
const DONE: Status = {
  type: "STATUS",
  request: 1,
  error: null,
  text: "done",
  value: { ids: ["a"], loss: null },
};
const REFUSED: Status = { ...DONE, error: { code: "E_RUN", message: "Cannot" }, text: "", value: {} };

const pack = (value: unknown) => new Packr({ useRecords: false }).pack(value);

Deno.test("encodeSteering() and its decoders keep commands and answers", () => {
  assert.deepEqual(decodeCommand(encodeSteering(COMMAND)), COMMAND);
  for (const status of [DONE, REFUSED]) assert.deepEqual(decodeStatus(encodeSteering(status)), status);
});

Deno.test("decodeCommand() refuses what is no command, and names the field", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ ...COMMAND, name: "evict; rm" }, /name/],
    [{ ...COMMAND, words: Array(17).fill("a") }, /words/],
    [{ ...COMMAND, words: ["a".repeat(257)] }, /words.0/],
    [{ ...COMMAND, by: "" }, /by/],
    [{ ...COMMAND, request: 0 }, /request/],
    [{ ...COMMAND, more: 1 }, /more/],
    [DONE, /type/],
  ];
  for (const [value, message] of cases) {
    assert.throws(() => decodeCommand(pack(value)), { code: "E_DECODE", message });
  }
  assert.throws(() => decodeStatus(pack({ ...REFUSED, error: { code: "E_NONE", message: "" } })), {
    code: "E_DECODE",
  });
});

Deno.test("decodeCommand() survives any bytes, and mutations of a command", () => {
  const whole = encodeSteering(COMMAND);
  const survives = (bytes: Uint8Array) => {
    try {
      decodeCommand(bytes);
    } catch (error) {
      assert.ok(error instanceof LockstepError, String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives));
  const position = fc.nat({ max: whole.length - 1 });
  fc.assert(fc.property(position, fc.nat({ max: 255 }), (at, byte) => survives(whole.with(at, byte))));
});
