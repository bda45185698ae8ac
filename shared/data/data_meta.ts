import { join } from "node:path";
import { z } from "zod";
import { LockstepError } from "../errors.ts";
import { refusePickle } from "../pickle.ts";
import type { TokenCount } from "./token_file.ts";
import { TOKENIZERS } from "./tokenizers/tokenizer.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hex digits");
const part = z.strictObject({ tokens: z.int().nonnegative(), sha256 });

const schema = z.strictObject({
  tokenizer: z.enum(TOKENIZERS),
  vocab_size: z.int().min(1).max(65_536),
  chars: z.string().optional(),
  train: part,
  val: part,
  source: z.strictObject({ name: z.string(), sha256, text_field: z.string().optional() }),
});

/** What `meta.json` says about the `train.bin` and `val.bin` beside it. */
export type DataMeta = z.infer<typeof schema>;

/** The files of a folder of prepared text. */
export const DATA_FILES = { train: "train.bin", val: "val.bin", meta: "meta.json" } as const;

/**
 * Reads `meta.json` of a folder, null if there is none. Throws E_PICKLE if the folder has nanoGPT's `meta.pkl`
 * instead, and E_DATA if it is not what `prepare` writes.
 */
export async function readDataMeta(dataDir: string): Promise<DataMeta | null> {
  const path = join(dataDir, DATA_FILES.meta);
  const text = await readIfThere(path);
  if (text !== null) return parseDataMeta(text, path);
  const pickle = join(dataDir, "meta.pkl");
  if (await isThere(pickle)) refusePickle(pickle);
  return null;
}

/** GPT-2's: what nanoGPT's own .bin files without a meta.json hold. */
const GPT2_VOCABULARY = 50_257;

/** The vocabulary of a folder of tokens and what is promised about its files; nanoGPT's own have no promise. */
export async function readDataParts(
  dataDir: string,
): Promise<{ vocabSize: number; train?: TokenCount; val?: TokenCount }> {
  const meta = await readDataMeta(dataDir);
  if (meta === null) return { vocabSize: GPT2_VOCABULARY };
  return { vocabSize: meta.vocab_size, train: meta.train, val: meta.val };
}

function parseDataMeta(text: string, path: string): DataMeta {
  const result = schema.safeParse(parseJson(text, path));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new LockstepError(
    "E_DATA",
    `Cannot read ${path} as what "prepare" writes: ${issue.path.join(".") || "the file"}: ${issue.message}`,
  );
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LockstepError("E_DATA", `Cannot read ${path} as JSON: ${reasonOf(error)}`, { cause: error });
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (!(error instanceof Deno.errors.NotADirectory)) throw error;
    throw new LockstepError("E_DATA", `Cannot read ${path} as data_dir must be a folder: it is a file`, {
      cause: error,
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
