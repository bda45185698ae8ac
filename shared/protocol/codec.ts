import { Packr, Unpackr } from "msgpackr/pack"; // the build without native code
import type { z } from "zod";
import { LockstepError } from "../errors.ts";
import { checkMessagePack } from "./check_message_pack.ts";
import { type FromWorker, fromWorkerSchema, type ToWorker, toWorkerSchema } from "./messages.ts";

/** Largest control message in bytes, encoded. */
export const MAX_MESSAGE_BYTES = 8 << 20;

const options = { useRecords: false, moreTypes: false, structuredClone: false, mapsAsObjects: true };
const packer = new Packr(options);
const unpacker = new Unpackr(options);

/** A message as one frame of MessagePack. Throws `LockstepError` E_TOO_LARGE beyond `MAX_MESSAGE_BYTES`. */
export function encodeMessage(message: ToWorker | FromWorker): Uint8Array<ArrayBuffer> {
  return packMessage(message);
}

/** As `encodeMessage`, for messages of another table. */
export function packMessage(message: { readonly type: string }): Uint8Array<ArrayBuffer> {
  const packed = packer.pack(message);
  if (packed.byteLength > MAX_MESSAGE_BYTES) {
    throw new LockstepError(
      "E_TOO_LARGE",
      `Cannot send the control message ${message.type} as it must have at most ${MAX_MESSAGE_BYTES} bytes: ` +
        `it has ${packed.byteLength}`,
    );
  }
  return new Uint8Array(packed); // a copy, as the packer's buffer is shared by many messages
}

/**
 * Reads a frame from the coordinator. Throws `LockstepError` E_DECODE or E_TOO_LARGE; `bytes` in the result
 * are views of the frame.
 */
export function decodeToWorker(frame: Uint8Array): ToWorker {
  return parseMessage(frame, toWorkerSchema);
}

/**
 * Reads a frame from a worker. Throws `LockstepError` E_DECODE or E_TOO_LARGE; `bytes` in the result are
 * views of the frame.
 */
export function decodeFromWorker(frame: Uint8Array): FromWorker {
  return parseMessage(frame, fromWorkerSchema);
}

/** As `decodeToWorker`, for messages of another table. */
export function parseMessage<T>(frame: Uint8Array, schema: z.ZodType<T>): T {
  const result = schema.safeParse(unpack(frame));
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw refusal(frame, path.length > 0 ? `${path.map(String).join(".")}: ${message}` : message);
}

function unpack(frame: Uint8Array): unknown {
  if (frame.byteLength > MAX_MESSAGE_BYTES) {
    throw new LockstepError(
      "E_TOO_LARGE",
      `Cannot read a control message as it must have at most ${MAX_MESSAGE_BYTES} bytes: ` +
        `it has ${frame.byteLength}`,
    );
  }
  const problem = checkMessagePack(frame);
  if (problem !== null) throw refusal(frame, problem);
  try {
    return unpacker.unpack(frame);
  } catch (error) {
    throw refusal(frame, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function refusal(frame: Uint8Array, problem: string, options?: ErrorOptions): LockstepError {
  return new LockstepError(
    "E_DECODE",
    `Cannot read a control message of ${frame.byteLength} bytes: ${problem.slice(0, 200)}; ` +
      `both sides must run the same version of Lockstep`,
    options,
  );
}
