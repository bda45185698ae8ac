import { z } from "zod";
import { type ErrorCode, isErrorCode } from "../errors.ts";

/** Names of members, files and the like. */
const name = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
/** A sentence, or another short text. */
const text = z.string().max(4_096);
/** A whole number from 0: steps, ranks, indices, sizes in bytes. */
const count = z.int().min(0);
/** Any number, NaN and infinities included: the coordinator must see them to refuse them. */
const anyNumber = z.custom<number>((value) => typeof value === "number", "Invalid input: expected number");
/** A hash in lower-case hexadecimal, of 128 bits (state, gradient) to 256 bits (SHA-256). */
const hash = z.string().regex(/^[0-9a-f]{32,64}$/);
/** Where a member's data socket listens; null where a run has one process and no sockets. */
const endpoint = z.string().regex(/^(ipc|tcp):\/\/\S{1,255}$/).nullable();
const bytes = z.instanceof(Uint8Array);
const nonce = bytes.refine((value) => value.length === 16, "Invalid input: expected 16 bytes");
const json = z.record(z.string(), z.json());
const errorCode = z.custom<ErrorCode>(
  (value) => typeof value === "string" && isErrorCode(value),
  "Invalid input: expected an error code",
);

/** One life of the coordinator, and one membership within it. */
const generation = { epoch: count, generation: count };
/** A boundary between steps: `step` steps are applied. */
const boundary = { ...generation, step: count };
/** One try at one step. */
const attempt = { ...boundary, attempt: count };

function message<T extends string, S extends z.ZodRawShape>(type: T, fields: S) {
  return z.strictObject({ type: z.literal(type), ...fields });
}

/** Parses what the coordinator sends. A line here adds a message, with its type. */
export const toWorkerSchema = z.discriminatedUnion("type", [
  /**
   * Who belongs to a generation, which virtual shards each computes (`shards[rank]`), and where it starts.
   */
  message("ROSTER", {
    ...generation,
    nonce,
    rank: count,
    worldSize: count.min(1),
    members: z.array(z.strictObject({ id: name, rank: count, endpoint })),
    shards: z.array(z.array(count)),
    config: json,
    configHash: hash,
    start: z.strictObject({ step: count, source: z.enum(["init", "sync"]) }),
  }),
  /** A snapshot of `bytes` bytes can be had in chunks of `chunkBytes`. */
  message("SYNC_OFFER", { ...boundary, bytes: count, stateHash: hash, chunkBytes: count.min(1) }),
  message("SYNC_DATA", { ...boundary, index: count, bytes }),
  /** Compute and reduce a step. The numbers are AdamW's; the corrections are `1 − beta^t`. */
  message("STEP", {
    ...attempt,
    learningRate: z.number(),
    biasCorrection1: z.number(),
    biasCorrection2: z.number(),
  }),
  message("COMMIT", { ...attempt, gradHash: hash }),
  message("ABORT", { ...attempt, reason: text }),
  message("CKPT_BEGIN", boundary),
  /** Evaluate these batches of the task that `task` describes. */
  message("EVAL_DEAL", { ...generation, evaluation: count, task: json, batches: z.array(count) }),
  message("DRAIN", {}),
  message("BEAT", {}),
  /** A refusal of what the worker sent. */
  message("ERROR", { code: errorCode, message: text }),
]);

/** Parses what a worker sends. */
export const fromWorkerSchema = z.discriminatedUnion("type", [
  /** `applied` steps are in the worker's state; `stateHash` is null while it has none. */
  message("HELLO", {
    id: name,
    version: text,
    pid: count,
    host: text,
    localRank: count,
    endpoint,
    applied: count,
    stateHash: hash.nullable(),
  }),
  message("READY", { ...generation, stateHash: hash, info: json }),
  /**
   * The reduced gradient is there; `losses` are those of this worker's shards, `stateHash` that of the state
   * before the step.
   */
  message("PREPARED", {
    ...attempt,
    losses: z.array(z.strictObject({ shard: count, loss: anyNumber })),
    gradHash: hash,
    gradNorm: anyNumber,
    stateHash: hash,
  }),
  message("APPLIED", { ...boundary, stateHash: hash }),
  message("SYNC_GET", { ...boundary, index: count }),
  /** A piece of a checkpoint's file, `offset` bytes from its start. */
  message("CKPT_PART", { ...boundary, file: name, offset: count, bytes }),
  message("CKPT_DONE", boundary),
  /** `shown`: texts for a person, empty for most batches. */
  message("EVAL_RESULT", {
    ...generation,
    evaluation: count,
    batch: count,
    result: z.record(z.string(), anyNumber),
    shown: z.array(text),
  }),
  message("METRICS", { step: count, values: z.record(z.string(), anyNumber) }),
  message("LEAVE", { reason: text }),
  message("ERROR", { code: errorCode, message: text }),
  message("BEAT", {}),
]);

/** Any message from the coordinator to a worker. */
export type ToWorker = z.infer<typeof toWorkerSchema>;

/** Any message from a worker to the coordinator. */
export type FromWorker = z.infer<typeof fromWorkerSchema>;

/** The one message of that type, e.g. `Message<ToWorker, "STEP">`. */
export type Message<M extends ToWorker | FromWorker, T extends M["type"]> = Extract<M, { type: T }>;

/** Configuration or a report inside a message: plain JSON. */
export type JsonObject = z.infer<typeof json>;
