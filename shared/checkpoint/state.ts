import { z } from "zod";
import { canonicalHash } from "../hash.ts";

const count = z.number().int().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{1,128}$/);

const stateSchema = z.strictObject({
  format: z.literal(1),
  /** Steps taken: the next one to compute has this number. */
  step: count,
  /** Hash of parameters and moments; equal on all members. */
  state_hash: hash,
  /** The manifest's, for the configuration that trained it. */
  config_hash: hash,
  /** Validation loss at this step, and the lowest so far; null before the first evaluation. */
  val_loss: z.number().nullable(),
  best_val_loss: z.number().nullable(),
  /** Where the sampler stands, in the sampler's own terms. */
  data_position: z.record(z.string(), z.json()),
  /** The other files of the folder, by name. */
  files: z.record(z.string(), z.strictObject({ bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
});

/** A checkpoint's state.json, field by field; the file adds `sha256`, the hash of all the others. */
export type CheckpointState = z.infer<typeof stateSchema>;

/** What a publisher of a checkpoint says about it; the writer knows the rest. */
export type StateToPublish = Omit<CheckpointState, "format" | "step" | "files">;

/** The text of state.json. */
export function encodeState(state: CheckpointState): string {
  return print({ ...state, sha256: canonicalHash(state) });
}

/**
 * Parses the text of state.json. Throws an Error that says why unless the text is, to the last byte, what
 * {@link encodeState} wrote.
 */
export function parseState(text: string): CheckpointState {
  const { sha256, ...fields } = check(z.looseObject({ sha256: z.string() }), JSON.parse(text));
  if (canonicalHash(fields) !== sha256) throw new Error("its own SHA-256 does not fit");
  const state = check(stateSchema, fields);
  if (encodeState(state) !== text) throw new Error("its text is not as it was written");
  return state;
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new Error(`its "${path.join(".")}" is wrong: ${message}`);
}

function print(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}
