import { generateText } from "./generate_text.ts";
import { loadCheckpoint, type LoadOptions } from "./load_checkpoint.ts";
import type { LoadedCheckpoint } from "./loaded_checkpoint.ts";
import { type TextOptions, textRequest } from "./text_request.ts";

/** How {@link generate} goes on, and which checkpoint of a run it takes. */
export interface GenerateOptions extends TextOptions, LoadOptions {}

/**
 * Lets a trained model go on from a prompt and yields the new text as it comes, whole characters only. `run` is the
 * folder of a run or of one of its checkpoints, or what `loadCheckpoint` opened, which stays open.
 *
 * Throws as `loadCheckpoint` does, E_TOKEN or E_USAGE for a prompt that cannot be read, E_CONFIG for an option that is
 * out of its range.
 */
export async function* generate(
  run: string | LoadedCheckpoint,
  options: GenerateOptions = {},
): AsyncGenerator<string> {
  if (typeof run === "string") {
    await using checkpoint = await loadCheckpoint(run, options);
    yield* generate(checkpoint, options);
    return;
  }
  const request = textRequest(await run.prompts(), options);
  for await (const { text } of generateText(run, request)) if (text !== "") yield text;
}
