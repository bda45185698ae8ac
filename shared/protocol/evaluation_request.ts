import { z } from "zod";
import { LockstepError } from "../errors.ts";

/** What an EVAL_DEAL's `task` asks for. */
const schema = z.discriminatedUnion("kind", [
  /** nanoGPT's estimate: batches 0 … iters − 1 are random ones of the training part, the next of the validation part. */
  z.strictObject({ kind: z.literal("estimate"), iters: z.int().min(1) }),
  /** A task by its name; the first batch shows `show` items. */
  z.strictObject({
    kind: z.literal("task"),
    name: z.string(),
    items: z.int().min(1),
    batchSize: z.int().min(1),
    show: z.int().min(0),
  }),
  /** One batch: so many samples of at most so many tokens, shown as prompt and text in turn. */
  z.strictObject({ kind: z.literal("sample"), samples: z.int().min(1), maxNewTokens: z.int().min(1) }),
]);

export type EvaluationRequest = z.infer<typeof schema>;

/** Parses the `task` of an EVAL_DEAL. Throws E_DECODE. */
export function parseEvaluationRequest(value: unknown): EvaluationRequest {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LockstepError("E_DECODE", `Cannot evaluate: ${parsed.error.issues[0].message}`);
}
