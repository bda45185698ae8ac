import { z } from "zod";
import { packMessage, parseMessage } from "../../shared/protocol/codec.ts";

/** Bytes of a piece by which bandwidth is measured: a frame of the exchange of gradients is about as large. */
export const MEASURE_BYTES = 1 << 20;

/** Asks for a piece of `take` bytes; beside it goes a frame that the other side throws away. */
const measureSchema = z.strictObject({
  type: z.literal("MEASURE"),
  take: z.int().min(0).max(MEASURE_BYTES),
});

/** Answers with the piece in a frame beside it. */
const measuredSchema = z.strictObject({
  type: z.literal("MEASURED"),
  /** When it was answered, by the clock of the side that answers, in ms since 1970. */
  clock: z.number(),
});

export type Measure = z.infer<typeof measureSchema>;
export type Measured = z.infer<typeof measuredSchema>;

/** As one frame. */
export function encodeMeasuring(message: Measure | Measured): Uint8Array<ArrayBuffer> {
  return packMessage(message);
}

/** Throws E_DECODE or E_TOO_LARGE. */
export function decodeMeasure(frame: Uint8Array): Measure {
  return parseMessage(frame, measureSchema);
}

/** Throws E_DECODE or E_TOO_LARGE. */
export function decodeMeasured(frame: Uint8Array): Measured {
  return parseMessage(frame, measuredSchema);
}

/** A piece: noise, as what is all zeros may be compressed on its way. */
export function makePiece(): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(MEASURE_BYTES);
  for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
  return piece;
}
