import assert from "node:assert/strict";
import fc from "fast-check";
import { Packr } from "msgpackr/pack";
import { LockstepError } from "../../../shared/errors.ts";
import { checkMessagePack, MAX_DEPTH, MAX_VALUES } from "../../../shared/protocol/check_message_pack.ts";
import {
  decodeFromWorker,
  decodeToWorker,
  encodeFrames,
  encodeMessage,
  MAX_MESSAGE_BYTES,
} from "../../../shared/protocol/codec.ts";
import type { FromWorker, ToWorker } from "../../../shared/protocol/messages.ts";
import { ALIVE, BEAT, DRAIN, leave } from "./sample_messages.ts";

const hash = "0123456789abcdef".repeat(2);
const sealed = { session: "f".repeat(32), seq: 5, ack: 4 };
const generation = { ...sealed, epoch: 1, generation: 2 };
const boundary = { ...generation, step: 3 };
const attempt = { ...boundary, attempt: 0 };
const decided = {
  step: 2,
  gradHash: hash,
  learningRate: Math.fround(1e-3),
  biasCorrection1: 0.1,
  biasCorrection2: 0.05,
};

const ROSTER: ToWorker = {
  type: "ROSTER",
  ...boundary,
  nonce: new Uint8Array(16).fill(7),
  rank: 1,
  worldSize: 2,
  members: [
    { id: "a", rank: 0, host: "h", endpoint: "ipc:///tmp/a", publicKey: "k".repeat(40) },
    { id: "b", rank: 1, host: "h", endpoint: null, publicKey: null },
  ],
  shards: [[0, 1], [2, 3]],
  source: "own",
  decided,
};
const CONFIG: ToWorker = {
  type: "CONFIG",
  ...sealed,
  epoch: 1,
  config: { n_layer: 6, reflex: { heads: [2, 2, 2], depth: "all" }, bias: false, top_k: null },
  configHash: hash + hash,
  files: [{ name: "train.bin", bytes: 10, sha256: hash + hash }],
  trains: true,
  scratchGradients: 2.5,
};
const STEP: ToWorker = { type: "STEP", ...attempt, audit: { shard: 3, ranks: [0, 1] } };

const TO_WORKER: ToWorker[] = [
  ROSTER,
  CONFIG,
  STEP,
  { type: "SYNC_GET", ...boundary, index: 4, pieces: 1 },
  { type: "LINKS", ...generation, endpoints: ["", "tcp://10.0.0.1:999"] },
  { type: "SYNC_DATA", ...boundary, index: 4, bytes: new Uint8Array([1, 2, 3]) },
  { type: "COMMIT", ...generation, decided, next: { audit: null } },
  { type: "DATA_PART", ...sealed, file: "train.bin", index: 1, bytes: new Uint8Array(3) },
  { type: "EVAL_DEAL", ...generation, evaluation: 1, task: { name: "sort" }, batches: [0, 2, 4] },
  DRAIN,
  BEAT,
  { type: "ERROR", ...sealed, code: "E_VERSION", message: "no" },
];

const PREPARED: FromWorker = {
  type: "PREPARED",
  ...attempt,
  gradHash: hash,
  bucketHashes: hash + hash,
  gradNorm: Infinity,
  stateHash: hash,
  losses: [{ shard: 3, loss: 2.5 }, { shard: 4, loss: NaN }],
  audited: null,
  computeMs: 1.5,
  prepareMs: 2,
};
const SYNC_DATA: FromWorker = {
  type: "SYNC_DATA",
  ...boundary,
  index: 5,
  bytes: new Uint8Array(70_000).fill(1),
};
const HELLO: FromWorker = {
  type: "HELLO",
  ...sealed,
  id: "w-1",
  run: null,
  version: "0.1.0",
  pid: 77,
  host: "ß→",
  localRank: 0,
  endpoint: "tcp://127.0.0.1:99",
  publicKey: null,
  applied: 7,
  stateHash: null,
  prepared: { step: 7, gradHash: hash },
};
const RESULT: FromWorker = {
  type: "EVAL_RESULT",
  ...generation,
  evaluation: 1,
  batch: 2,
  result: { exact: 32 },
  shown: [],
};

const FROM_WORKER: FromWorker[] = [
  HELLO,
  { type: "LOADED", ...sealed, info: { compiledMs: 12.5 }, fingerprint: null },
  { type: "PORTS", ...generation, ports: [0, 999] },
  { type: "READY", ...boundary, stateHash: hash },
  PREPARED,
  { type: "APPLIED", ...boundary, stateHash: hash, waitedMs: 0.25, applyMs: 0.5 },
  { type: "SYNC_GET", ...boundary, index: 9, pieces: 4 },
  SYNC_DATA,
  { type: "DATA_GET", ...sealed, file: "train.bin", index: 1 },
  { type: "FAILED", ...attempt, code: "E_CRC", message: "damaged", rank: 1 },
  RESULT,
  leave("SIGTERM"),
  { type: "ERROR", ...sealed, code: "E_NON_FINITE", message: "loss is NaN" },
  ALIVE,
];

/** Decodes as both sides would; each returns or throws a `LockstepError` with a code of the wire. */
function decodeAnything(frame: Uint8Array): void {
  for (const decode of [decodeToWorker, decodeFromWorker]) {
    try {
      decode(frame);
    } catch (error) {
      assert.ok(error instanceof LockstepError, String(error));
      assert.ok(error.code === "E_DECODE" || error.code === "E_TOO_LARGE");
      assert.ok(error.message.length < 500 && !error.message.endsWith("."));
    }
  }
}

function pack(value: unknown): Uint8Array {
  return new Uint8Array(new Packr({ useRecords: false }).pack(value));
}

Deno.test("decodeToWorker() reads every message that encodeMessage() writes", () => {
  for (const message of TO_WORKER) assert.deepEqual(decodeToWorker(encodeMessage(message)), message);
});

Deno.test("decodeFromWorker() reads every message that encodeMessage() writes", () => {
  for (const message of FROM_WORKER) assert.deepEqual(decodeFromWorker(encodeMessage(message)), message);
});

Deno.test("encodeFrames() writes many bytes as a frame of their own, without a copy", () => {
  const many = { ...SYNC_DATA, bytes: new Uint8Array(9_999).fill(3) };
  const [head, content] = encodeFrames(many);
  assert.equal(content, many.bytes);
  assert.deepEqual(decodeToWorker(head, content), many);
  assert.deepEqual(decodeFromWorker(head, content), many);
  for (const message of TO_WORKER) assert.deepEqual(decodeToWorker(...encodeFrames(message)), message);
});

Deno.test("decodeFromWorker() refuses a frame that belongs to no bytes, and one that is too large", () => {
  const [head, content] = encodeFrames({ ...SYNC_DATA, bytes: new Uint8Array(9_999) });
  const wrong = [[encodeMessage(ALIVE), content], [encodeMessage(SYNC_DATA), content], [
    head,
    content,
    content,
  ]];
  for (const frames of wrong) {
    assert.throws(() => decodeFromWorker(...frames), { code: "E_DECODE", message: /a frame too many/ });
  }
  const large = new Uint8Array(MAX_MESSAGE_BYTES + 1);
  assert.throws(() => decodeFromWorker(head, large), { code: "E_TOO_LARGE" });
  assert.throws(() => encodeFrames({ ...SYNC_DATA, bytes: large }), { code: "E_TOO_LARGE" });
});

Deno.test("encodeMessage() does not share memory between messages", () => {
  const first = encodeMessage(leave("first"));
  encodeMessage(leave("other"));
  assert.deepEqual(decodeFromWorker(first), leave("first"));
});

Deno.test("encodeMessage() refuses a message that is too large", () => {
  const message: ToWorker = {
    type: "SYNC_DATA",
    ...boundary,
    index: 0,
    bytes: new Uint8Array(MAX_MESSAGE_BYTES),
  };
  assert.throws(() => encodeMessage(message), { code: "E_TOO_LARGE" });
});

Deno.test("decodeFromWorker() refuses a frame that is too large before it looks into it", () => {
  assert.throws(() => decodeFromWorker(new Uint8Array(MAX_MESSAGE_BYTES + 1)), { code: "E_TOO_LARGE" });
});

const WRONG: [title: string, value: unknown, reason: RegExp][] = [
  ["an unknown type", { type: "HALLO" }, /type: Invalid/],
  ["a message of the other side", STEP, /type: Invalid/],
  ["a missing field", { type: "LEAVE", ...sealed }, /reason: .*expected string/],
  ["a field too many", { ...ALIVE, at: 1 }, /Unrecognized key: "at"/],
  ["a negative step", { type: "READY", ...boundary, stateHash: hash, step: -1 }, /step: Too small/],
  [
    "a fraction of a step",
    { type: "READY", ...boundary, stateHash: hash, step: 1.5 },
    /step: .*expected int/,
  ],
  [
    "a step beyond 2^53",
    { type: "READY", ...boundary, stateHash: hash, step: 2n ** 60n },
    /step: .*expected number/,
  ],
  [
    "a name with a path in it",
    { ...HELLO, id: "../../etc/passwd" },
    /id: Invalid string/,
  ],
  ["bytes that are a text", { ...SYNC_DATA, bytes: "abc" }, /bytes: .*expected Uint8Array/],
  [
    "a hash that is none",
    { type: "APPLIED", ...boundary, stateHash: "xyz", waitedMs: 0, applyMs: 0 },
    /stateHash: Invalid string/,
  ],
  [
    "a code that is none",
    { type: "ERROR", ...sealed, code: "E_NO_SUCH", message: "" },
    /code: .*expected an error code/,
  ],
  [
    "a number as text",
    { ...RESULT, result: { loss: "1" } },
    /result\.loss: .*expected number/,
  ],
  ["no map at all", [1, 2, 3], /expected object/],
];
for (const [title, value, reason] of WRONG) {
  Deno.test(`decodeFromWorker() refuses ${title}`, () => {
    assert.throws(() => decodeFromWorker(pack(value)), (error) => {
      return error instanceof LockstepError && error.code === "E_DECODE" && reason.test(error.message);
    });
  });
}

Deno.test("decodeToWorker() refuses a nonce that has not 16 bytes, and bytes within a configuration", () => {
  assert.throws(
    () => decodeToWorker(pack({ ...ROSTER, nonce: new Uint8Array(15) })),
    /nonce: .*expected 16 bytes/,
  );
  assert.throws(() => decodeToWorker(pack({ ...CONFIG, config: { a: new Uint8Array(1) } })), /config/);
});

Deno.test("decodeFromWorker() never gives an object another prototype", () => {
  const values = '"__proto__":{"loss":1}';
  decodeAnything(pack({ ...RESULT, result: JSON.parse(`{${values}}`) }));
  const frame = Uint8Array.from([
    0x81,
    0xa9,
    ...new TextEncoder().encode("__proto__"),
    0x81,
    0xa1,
    0x61,
    0x01,
  ]);
  assert.throws(() => decodeFromWorker(frame), { code: "E_DECODE" });
  assert.equal(Object.hasOwn(Object.prototype, "loss"), false);
});

Deno.test("checkMessagePack() refuses what msgpackr's extensions would build", () => {
  const extended = new Packr({ moreTypes: true, structuredClone: true });
  for (const value of [new Set([1]), new Error("x"), /x/, new Date(1e12), new Float32Array(2), undefined]) {
    assert.match(checkMessagePack(new Uint8Array(extended.pack({ value }))) ?? "", /extension/);
  }
  assert.match(checkMessagePack(new Uint8Array(new Packr().pack([{ a: 1 }, { a: 2 }]))) ?? "", /extension/);
});

Deno.test("checkMessagePack() bounds depth, values and keys, and wants one whole value", () => {
  const nested = (depth: number) => Uint8Array.from([...Array(depth).fill(0x91), 0xc0]);
  assert.equal(checkMessagePack(nested(MAX_DEPTH)), null);
  assert.match(checkMessagePack(nested(MAX_DEPTH + 1)) ?? "", /nested deeper/);
  assert.equal(checkMessagePack(pack(Array(1_000).fill(null))), null);
  assert.match(checkMessagePack(pack(Array(MAX_VALUES).fill(null))) ?? "", /more than/);
  assert.match(checkMessagePack(Uint8Array.from([0xdf, 255, 255, 255, 255])) ?? "", /more than/);
  assert.match(checkMessagePack(Uint8Array.from([0x81, 1, 1])) ?? "", /key is not a string/);
  assert.match(checkMessagePack(Uint8Array.from([0x81, 0xa1, 0x61])) ?? "", /cut off/);
  assert.match(checkMessagePack(Uint8Array.from([0xc6, 255, 255, 255, 255, 1])) ?? "", /cut off/);
  assert.match(checkMessagePack(new Uint8Array(0)) ?? "", /cut off/);
  assert.match(checkMessagePack(Uint8Array.from([1, 1])) ?? "", /follow its end/);
});

Deno.test("checkMessagePack() accepts all of JSON and bytes", () => {
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.uint8Array({ maxLength: 300 }), fc.double());
  fc.assert(fc.property(fc.array(leaf), (value) => assert.equal(checkMessagePack(pack(value)), null)));
});

Deno.test("decoding random bytes ends in a message or a LockstepError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodeAnything), { numRuns: 3_000 });
});

Deno.test("decoding mutated messages ends in a message or a LockstepError", () => {
  const frames = [...TO_WORKER, ...FROM_WORKER].map((message) => encodeMessage(message));
  const edit = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() });
  fc.assert(
    fc.property(
      fc.constantFrom(...frames),
      fc.array(edit, { minLength: 1, maxLength: 6 }),
      (original, edits) => {
        let frame = Uint8Array.from(original);
        for (const { at, byte, cut } of edits) {
          if (frame.length === 0) break;
          frame[at % frame.length] = byte;
          if (cut) frame = frame.slice(0, at % frame.length);
        }
        decodeAnything(frame);
      },
    ),
    { numRuns: 3_000 },
  );
});
