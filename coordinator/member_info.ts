import { z } from "zod";
import { LockstepError } from "../shared/errors.ts";
import type { JsonObject } from "../shared/protocol/messages.ts";

const count = z.int().min(0);

/** What a member says of its computation; the same for all. */
const schema = z.strictObject({
  engine: z.string(),
  device: z.string(),
  /** Names and shapes in the order of the flat parameters. */
  parameters: z.array(z.strictObject({ name: z.string(), shape: z.array(count) })),
  /** Elements of all parameters. */
  size: count,
  sliceRows: count,
  flopsPerToken: z.number(),
  modelSource: z.string(),
  engineSource: z.string().nullable(),
  data: z.record(z.string(), z.string()),
  /** SHA-256 of the compiled step; null for an engine that runs it op by op, and where no step is computed. */
  graph: z.string().nullable(),
});

export type MemberInfo = z.infer<typeof schema>;

/** Parses a LOADED's `info`. Throws E_DECODE. */
export function parseMemberInfo(info: JsonObject): MemberInfo {
  const parsed = schema.safeParse(info);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new LockstepError("E_DECODE", `Cannot read what a worker computes: ${path.join(".")}: ${message}`);
}
