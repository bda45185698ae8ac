import { z } from "zod";
import { sha256 } from "../shared/hash.ts";

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{32,64}$/);

/** The first line of an epoch's file: which lines of the epoch before it are valid. */
const openingSchema = z.strictObject({
  epoch: count,
  /** Null for the first epoch; otherwise the epoch whose lines it adopts, and how many bytes of them. */
  adopts: z.strictObject({ epoch: count, bytes: count }).nullable(),
  prev: hash,
});

/** A step's decision. */
const stepSchema = z.strictObject({
  epoch: count,
  generation: count,
  attempt: count,
  step: count,
  /** The first and last sample id of the step's plan; both count. */
  samples: z.tuple([count, count]),
  /** By member: the virtual shards that it computed. */
  shards: z.record(z.string(), z.array(count)),
  grad_hash: hash,
  /** Of the state before the step. */
  state_hash: hash,
  prev: hash,
});

/** From here on the run computes otherwise: the lines before it of steps from `rewind` on are void. */
const rewindSchema = z.strictObject({ epoch: count, rewind: count, reason: z.string(), prev: hash });

const lineSchema = z.union([stepSchema, rewindSchema, openingSchema]);

export type StepLine = z.infer<typeof stepSchema>;
export type LedgerLine = z.infer<typeof lineSchema>;

/** A line before its place in the chain is known. */
export type Unchained<L = LedgerLine> = L extends unknown ? Omit<L, "prev"> : never;

/** Before the first line. */
export const NO_LINE = "0".repeat(64);

/** What a chain of lines has decided. */
export interface Chain {
  /** SHA-256 of the last line. */
  readonly last: string;
  /** By step; later lines of a step replace earlier ones. */
  readonly steps: ReadonlyMap<number, StepLine>;
  /** The first step that is not decided. */
  readonly next: number;
}

export const EMPTY_CHAIN: Chain = { last: NO_LINE, steps: new Map(), next: 0 };

/** The text of a line that follows `last`, without its newline. */
export function chained(line: Unchained, last: string): string {
  return JSON.stringify({ ...line, prev: last });
}

/** Lines of one epoch's file, as far as they chain to what it adopts. */
export interface EpochPart extends Chain {
  /** Bytes of the file that are valid. */
  readonly bytes: number;
  /** Why the rest is not; null if all of it is. */
  readonly problem: string | null;
}

/** Follows the lines of an epoch's file after `before` as far as they are valid. `text` may end in the middle of a line. */
export function follow(text: string, before: Chain): EpochPart {
  const steps = new Map(before.steps);
  let { last, next } = before;
  let bytes = 0;
  const end = (problem: string | null): EpochPart => ({ last, steps, next, bytes, problem });
  for (const line of text.split(/(?<=\n)/)) {
    if (!line.endsWith("\n")) return end(line === "" ? null : "its last line is not complete");
    const content = line.slice(0, -1);
    const parsed = parseLine(content);
    if (parsed === null) return end(`a line cannot be read: ${content.slice(0, 60)}`);
    if (parsed.prev !== last) return end(`a line does not follow the one before it: ${content.slice(0, 60)}`);
    if ("rewind" in parsed) {
      for (let step = parsed.rewind; step < next; step++) steps.delete(step);
      next = Math.min(next, parsed.rewind);
    } else if ("step" in parsed) {
      if (parsed.step !== next) return end(`step ${parsed.step} stands where step ${next} is due`);
      steps.set(parsed.step, parsed);
      next++;
    }
    last = sha256(content);
    bytes += new TextEncoder().encode(line).length;
  }
  return end(null);
}

function parseLine(content: string): LedgerLine | null {
  try {
    return lineSchema.parse(JSON.parse(content));
  } catch {
    return null;
  }
}

/** The first line of an epoch's file, or null where it cannot be read. */
export function openingOf(text: string): z.infer<typeof openingSchema> | null {
  try {
    return openingSchema.parse(JSON.parse(text.slice(0, text.indexOf("\n"))));
  } catch {
    return null;
  }
}
