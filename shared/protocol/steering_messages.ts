import { z } from "zod";
import { type ErrorCode, isErrorCode } from "../errors.ts";
import { packMessage, parseMessage } from "./codec.ts";

const name = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
const count = z.int().min(0);

/** What a person asks of a run: a command of `coordinator/steering/steering_commands.ts` with its words. */
const commandSchema = z.strictObject({
  type: z.literal("COMMAND"),
  /** Numbers the commands of a connection from 1; the answer carries the same. */
  request: count.min(1),
  name,
  words: z.array(z.string().max(256)).max(16),
  /** Who asks, for the log: USER@HOST. */
  by: z.string().min(1).max(256),
  /** True for each time but the first that a console asks what it follows. */
  again: z.boolean(),
});

/** What became of a command. */
const statusSchema = z.strictObject({
  type: z.literal("STATUS"),
  /** 0 where what was sent could not be read. */
  request: count,
  /** Why it was refused; null where it was done. */
  error: z.strictObject({
    code: z.custom<ErrorCode>((code) => typeof code === "string" && isErrorCode(code)),
    message: z.string().max(4_096),
  }).nullable(),
  /** For a person, lines of text; empty with an error. */
  text: z.string().max(1 << 20),
  /** The same for a program; empty with an error. */
  value: z.record(z.string(), z.json()),
});

export type Command = z.infer<typeof commandSchema>;
export type Status = z.infer<typeof statusSchema>;

/** As one frame. Throws `LockstepError` E_TOO_LARGE, as `encodeMessage` does. */
export function encodeSteering(message: Command | Status): Uint8Array<ArrayBuffer> {
  return packMessage(message);
}

/** Reads a frame from a person's console. Throws `LockstepError` E_DECODE or E_TOO_LARGE. */
export function decodeCommand(frame: Uint8Array): Command {
  return parseMessage(frame, commandSchema);
}

/** Reads a frame from a run. Throws `LockstepError` E_DECODE or E_TOO_LARGE. */
export function decodeStatus(frame: Uint8Array): Status {
  return parseMessage(frame, statusSchema);
}
