import { Packr, Unpackr } from "msgpackr/pack"; // the build without native code
import type { z } from "zod";
import { LockstepError } from "../errors.ts";
import { checkMessagePack } from "./check_message_pack.ts";
import { type FromWorker, fromWorkerSchema, type ToWorker, toWorkerSchema } from "./messages.ts";

/** Largest frame of a control message in bytes. */
export const MAX_MESSAGE_BYTES = 8 << 20;
/** So many `bytes` of a message are worth a frame of their own. */
const APART_BYTES = 4 << 10;
const NOTHING = new Uint8Array(0);

const options = { useRecords: false, moreTypes: false, structuredClone: false, mapsAsObjects: true };
const packer = new Packr(options);
const unpacker = new Unpackr(options);

/** A message as one frame of MessagePack. Throws `LockstepError` E_TOO_LARGE beyond `MAX_MESSAGE_BYTES`. */
export function encodeMessage(message: ToWorker | FromWorker): Uint8Array<ArrayBuffer> {
  return packMessage(message);
}

/**
 * A message as frames: many `bytes` are the second one, as they are, so that nothing copies them here and where they
 * arrive. Throws `LockstepError` E_TOO_LARGE, as `encodeMessage` does.
 */
export function encodeFrames(message: ToWorker | FromWorker): Uint8Array<ArrayBuffer>[] {
  if (!("bytes" in message) || message.bytes.length < APART_BYTES) return [encodeMessage(message)];
  refuseToSend(message.type, message.bytes.length);
  return [encodeMessage({ ...message, bytes: NOTHING }), message.bytes];
}

/** As `encodeMessage`, for messages of another table. */
export function packMessage(message: { readonly type: string }): Uint8Array<ArrayBuffer> {
  const packed = packer.pack(message);
  refuseToSend(message.type, packed.byteLength);
  return new Uint8Array(packed); // a copy, as the packer's buffer is shared by many messages
}

function refuseToSend(type: string, byteLength: number): void {
  if (byteLength <= MAX_MESSAGE_BYTES) return;
  throw new LockstepError(
    "E_TOO_LARGE",
    `Cannot send the control message ${type} as it must have at most ${MAX_MESSAGE_BYTES} bytes: it has ${byteLength}`,
  );
}

/**
 * Reads a message from the coordinator. Throws `LockstepError` E_DECODE or E_TOO_LARGE; `bytes` in the result
 * are views of the frame.
 */
export function decodeToWorker(...frames: readonly Uint8Array[]): ToWorker {
  return parseFrames(frames, toWorkerSchema);
}

/**
 * Reads a message from a worker. Throws `LockstepError` E_DECODE or E_TOO_LARGE; `bytes` in the result are
 * views of the frame.
 */
export function decodeFromWorker(...frames: readonly Uint8Array[]): FromWorker {
  return parseFrames(frames, fromWorkerSchema);
}

/** As `decodeToWorker`, for messages of another table, in one frame. */
export function parseMessage<T>(frame: Uint8Array, schema: z.ZodType<T>): T {
  return parseFrames([frame], schema);
}

function parseFrames<T>([frame, ...others]: readonly Uint8Array[], schema: z.ZodType<T>): T {
  const value = unpack(frame);
  for (const content of others) takeContent(content, { into: value, frame });
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw refusal(frame, path.length > 0 ? `${path.map(String).join(".")}: ${message}` : message);
}

/** A frame of its own is the message's `bytes`, and these are empty in the first one. */
function takeContent(content: Uint8Array, { into, frame }: { into: unknown; frame: Uint8Array }): void {
  refuseToRead(content);
  const isPlace = typeof into === "object" && into !== null && "bytes" in into &&
    into.bytes instanceof Uint8Array && into.bytes.length === 0;
  if (!isPlace) throw refusal(frame, "a frame too many follows it");
  into.bytes = content;
}

function unpack(frame: Uint8Array): unknown {
  refuseToRead(frame);
  const problem = checkMessagePack(frame);
  if (problem !== null) throw refusal(frame, problem);
  try {
    return unpacker.unpack(frame);
  } catch (error) {
    throw refusal(frame, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function refuseToRead({ byteLength }: Uint8Array): void {
  if (byteLength <= MAX_MESSAGE_BYTES) return;
  throw new LockstepError(
    "E_TOO_LARGE",
    `Cannot read a control message as it must have at most ${MAX_MESSAGE_BYTES} bytes: it has ${byteLength}`,
  );
}

function refusal(frame: Uint8Array, problem: string, options?: ErrorOptions): LockstepError {
  return new LockstepError(
    "E_DECODE",
    `Cannot read a control message of ${frame.byteLength} bytes: ${problem.slice(0, 200)}; ` +
      `both sides must run the same version of Lockstep`,
    options,
  );
}
