import { join } from "node:path";
import { z } from "zod";
import { dataKeys } from "./config/keys/data.ts";
import type { RunConfig } from "./config/run_config.ts";
import { IdPrompts } from "./data/prompts/id_prompts.ts";
import { openPrompts } from "./data/prompts/open_prompts.ts";
import { isProbe } from "./data/probes/open_probe.ts";
import type { Prompts } from "./data/prompts/prompts.ts";
import { TextPrompts } from "./data/prompts/text_prompts.ts";
import { openTextTokenizer } from "./data/tokenizers/open_text_tokenizer.ts";
import { openTokenizer } from "./data/tokenizers/open_tokenizer.ts";
import { gpt2TokenizerOf, tokenizerSchema } from "./data/tokenizers/weights_tokenizer.ts";
import { LockstepError } from "./errors.ts";

const schema = z.object({
  dataset: dataKeys.dataset.unwrap(),
  /** Of a text. */
  tokenizer: tokenizerSchema.optional(),
  sort: dataKeys.sort.optional(),
  probe: dataKeys.probe.optional(),
});

/** What a model's tokens mean: the part `lockstep` of the config.json that `export` writes. */
export type PromptsDescription = z.infer<typeof schema>;

/** Describes the tokens of a run. Throws E_DATA where its text's tokenizer is not there. */
export async function describePrompts(
  { dataset, data_dir, sort, probe }: RunConfig,
): Promise<PromptsDescription> {
  if (dataset === "sort") return { dataset, sort };
  if (isProbe(dataset)) return { dataset, probe };
  return { dataset, tokenizer: (await openTextTokenizer(data_dir)).meta() };
}

/**
 * What the tokens of the weights in `folder` mean; `vocabSize` is their model's. Null where nothing says so: GPT-2's are
 * known by their number and vocab.json. Throws E_WEIGHTS for a damaged description.
 */
export async function describeWeights(folder: string, vocabSize: number): Promise<PromptsDescription | null> {
  const described = await readDescription(join(folder, "config.json"));
  if (described !== null) return described;
  const tokenizer = await gpt2TokenizerOf(folder, vocabSize);
  return tokenizer === null ? null : { dataset: "text", tokenizer };
}

/** Prompts of what a description describes, token ids for null; `vocabSize` is the model's. */
export async function openDescribedPrompts(
  description: PromptsDescription | null,
  vocabSize: number,
): Promise<Prompts> {
  if (description === null) return new IdPrompts(vocabSize);
  const { dataset, tokenizer, sort, probe } = description;
  if (tokenizer !== undefined) return new TextPrompts(await openTokenizer(tokenizer));
  const shapes = { sort: dataKeys.sort.parse(sort ?? {}), probe: dataKeys.probe.parse(probe ?? {}) };
  return await openPrompts({ dataset, ...shapes, data_dir: null, vocab_size: vocabSize });
}

async function readDescription(path: string): Promise<PromptsDescription | null> {
  const config: unknown = JSON.parse(await Deno.readTextFile(path));
  if (typeof config !== "object" || config === null || !("lockstep" in config)) return null;
  const parsed = schema.safeParse(config.lockstep);
  if (parsed.success) return parsed.data;
  const [{ path: field, message }] = parsed.error.issues;
  throw new LockstepError(
    "E_WEIGHTS",
    `Cannot read ${path} as its "lockstep.${field.join(".")}" is wrong: ${message}`,
  );
}
