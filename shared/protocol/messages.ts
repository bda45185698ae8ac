import { z } from "zod";
import { type ErrorCode, isErrorCode } from "../errors.ts";
import { SYNC_WINDOW } from "./snapshot_pieces.ts";

/** Names of members, files and the like. */
const name = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
/** A sentence, or another short text. */
const text = z.string().max(4_096);
/** A whole number from 0: steps, ranks, indices, sizes in bytes. */
const count = z.int().min(0);
/** Any number, NaN and infinities included: the coordinator must see them to refuse them. */
const anyNumber = z.custom<number>((value) => typeof value === "number", "Invalid input: expected number");
/** In ms. */
const duration = z.number().min(0);
/** A hash in lower-case hexadecimal, of 128 bits (state, gradient) to 256 bits (SHA-256). */
const hash = z.string().regex(/^[0-9a-f]{32,64}$/);
/** Hashes of buckets in a row, as they are in each step and looked at in none that goes well. */
const hashes = z.string().regex(/^(?:[0-9a-f]{32})*$/);
/** Where a member's data socket listens; null where a run has one process and no sockets. */
const endpoint = z.string().regex(/^(ipc|tcp):\/\/\S{1,255}$/).nullable();
/** A member's own CURVE key for data, Z85; null where a run has no sockets or is insecure. */
const publicKey = z.string().length(40).nullable();
const bytes = z.instanceof(Uint8Array<ArrayBuffer>);
const nonce = bytes.refine((value) => value.length === 16, "Invalid input: expected 16 bytes");
/** How many pieces are asked for at a time, at most. */
const pieceCount = z.int().min(1).max(SYNC_WINDOW);
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
/** What a member needs to apply a step: its gradient's hash, and AdamW's numbers. */
/** A shard that two members compute, to compare what they get. */
const audit = z.strictObject({ shard: count, ranks: z.array(count) }).nullable();

const decision = {
  step: count,
  gradHash: hash,
  learningRate: z.number(),
  biasCorrection1: z.number(),
  biasCorrection2: z.number(),
};

/** What every message carries: see {@link Session}. */
const envelope = {
  /** Names the session, 32 hex digits. */
  session: z.string().regex(/^[0-9a-f]{32}$/),
  /** Counts the messages of one direction from 1; 0 for one that may get lost. */
  seq: count,
  /** The last message of the other direction that arrived. */
  ack: count,
};

function message<T extends string, S extends z.ZodRawShape>(type: T, fields: S) {
  return z.strictObject({ type: z.literal(type), ...envelope, ...fields });
}

/** Parses what the coordinator sends. A line here adds a message, with its type. */
export const toWorkerSchema = z.discriminatedUnion("type", [
  /** What the run computes: load it, and answer LOADED. */
  message("CONFIG", {
    epoch: count,
    config: json,
    configHash: hash,
    /** Prepared text that the run reads, for who has it not: see DATA_GET. */
    files: z.array(z.strictObject({ name, bytes: count, sha256: hash })),
    /** False for members that only evaluate. */
    trains: z.boolean(),
    /** Room for others' partial sums, in gradients: the most that any plan asks for. */
    scratchGradients: z.number().min(0),
  }),
  /**
   * Who belongs to a generation, which virtual shards each computes (`shards[rank]`), and where it starts: from the own
   * state at `step`, from the run's start, or from pieces that SYNC_GET asks for. Work of an earlier generation ends.
   * `decided` is the last decision: whoever has prepared it and not applied it does so first.
   */
  message("ROSTER", {
    ...boundary,
    nonce,
    rank: count,
    worldSize: count.min(1),
    members: z.array(z.strictObject({ id: name, rank: count, host: text, endpoint, publicKey })),
    shards: z.array(z.array(count)),
    source: z.enum(["own", "init", "sync"]),
    decided: z.strictObject(decision).nullable(),
  }),
  /** Compute and reduce a step. The members of `audit` also say which gradient they get for its shard. */
  message("STEP", { ...attempt, audit }),
  /** By rank: where each member on another host waits for this one. */
  message("LINKS", { ...generation, endpoints: z.array(z.string().max(256)) }),
  /**
   * The step is decided: its line is in the ledger. `next` is the first attempt of the next one, to be computed once this
   * one is applied; null where STEP will say what follows.
   */
  message("COMMIT", {
    ...generation,
    decided: z.strictObject(decision),
    next: z.strictObject({ audit }).nullable(),
  }),
  /** Pieces of the state at a boundary are wanted, from `index` on. */
  message("SYNC_GET", { ...boundary, index: count, pieces: pieceCount }),
  /** A piece that was asked for. */
  message("SYNC_DATA", { ...boundary, index: count, bytes }),
  /** A piece of a data file; empty after its end. */
  message("DATA_PART", { file: name, index: count, bytes }),
  /** Evaluate these batches of the task that `task` describes. */
  message("EVAL_DEAL", { ...generation, evaluation: count, task: json, batches: z.array(count) }),
  /** The run is over, or was stopped and may go on later: leave. */
  message("DRAIN", { stopped: z.boolean() }),
  message("BEAT", {}),
  /** A refusal of what the worker sent; E_STALE says that its session is over and another may be begun. */
  message("ERROR", { code: errorCode, message: text }),
]);

/** Parses what a worker sends. */
export const fromWorkerSchema = z.discriminatedUnion("type", [
  /**
   * Begins a session. `applied` steps are in the worker's state, null while it has none; `prepared` is a gradient that it
   * holds and has not applied.
   */
  message("HELLO", {
    id: name,
    /** The run that it wants to join; null takes any. */
    run: name.nullable(),
    version: text,
    pid: count,
    /** Members of one name reach each other's sockets. */
    host: text,
    localRank: count,
    endpoint,
    publicKey,
    applied: count.nullable(),
    stateHash: hash.nullable(),
    prepared: z.strictObject({ step: count, gradHash: hash }).nullable(),
  }),
  /** A piece of a data file is wanted. */
  message("DATA_GET", { file: name, index: count }),
  /**
   * Model, data and program are there; `info` says what this member computes with, `fingerprint` what the run's own
   * program gives for a fixed input, null where no step is computed.
   */
  message("LOADED", { info: json, fingerprint: hash.nullable() }),
  /** By rank: TCP ports on which this member waits for members on other hosts; 0 for none. */
  message("PORTS", { ...generation, ports: z.array(z.int().min(0).max(65_535)) }),
  message("READY", { ...boundary, stateHash: hash }),
  /**
   * The reduced gradient is there; `losses` are those of this worker's shards, `bucketHashes` those of the gradient's
   * segments in a row, `stateHash` that of the state before the step, `audited` those of the buckets of the audited
   * shard's gradient where it was computed here. From STEP on the own gradients took `computeMs`, all of it `prepareMs`.
   */
  message("PREPARED", {
    ...attempt,
    losses: z.array(z.strictObject({ shard: count, loss: anyNumber })),
    gradHash: hash,
    bucketHashes: hashes,
    gradNorm: anyNumber,
    stateHash: hash,
    audited: hashes.nullable(),
    computeMs: duration,
    prepareMs: duration,
  }),
  /** Between PREPARED and COMMIT passed `waitedMs`; both are 0 for a step that was applied before. */
  message("APPLIED", { ...boundary, stateHash: hash, waitedMs: duration, applyMs: duration }),
  message("SYNC_GET", { ...boundary, index: count, pieces: pieceCount }),
  message("SYNC_DATA", { ...boundary, index: count, bytes }),
  /** The reduction of a step failed here for a bad frame or a lost link; `rank` is the peer that it came from. */
  message("FAILED", { ...attempt, code: errorCode, message: text, rank: count.nullable() }),
  /** `shown`: texts for a person, empty for most batches. */
  message("EVAL_RESULT", {
    ...generation,
    evaluation: count,
    batch: count,
    result: z.record(z.string(), anyNumber),
    shown: z.array(text),
  }),
  message("LEAVE", { reason: text }),
  message("ERROR", { code: errorCode, message: text }),
  /**
   * That the worker lives. `waitsFor` are the ranks that its reduction waits for, `moved` counts frames and pieces,
   * `cpuMs` is the CPU time of its process.
   */
  message("BEAT", { waitsFor: z.array(count), moved: count, dropped: count, cpuMs: count }),
]);

/** What every message carries besides its own fields. */
export type Envelope = z.infer<z.ZodObject<typeof envelope>>;

/** The session of a message that belongs to none: a refusal of what could not be read. */
export const NO_SESSION: Envelope = { session: "0".repeat(32), seq: 0, ack: 0 };

/** Any message from the coordinator to a worker, as it travels. */
export type ToWorker = z.infer<typeof toWorkerSchema>;

/** Any message from a worker to the coordinator, as it travels. */
export type FromWorker = z.infer<typeof fromWorkerSchema>;

type Content<M> = M extends unknown ? Omit<M, keyof Envelope> : never;

/** What the coordinator tells a worker. */
export type Order = Content<ToWorker>;

/** What a worker tells the coordinator. */
export type Report = Content<FromWorker>;

/** The one message of that type, e.g. `Message<Order, "STEP">`. */
export type Message<M extends Order | Report, T extends M["type"]> = Extract<M, { type: T }>;

/** Configuration or a report inside a message: plain JSON. */
export type JsonObject = z.infer<typeof json>;
