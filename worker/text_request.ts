import { z } from "zod";
import { nonNegativeNumber, optional, text, wholeNumber } from "../shared/config/kinds.ts";
import type { Prompts } from "../shared/data/prompts/prompts.ts";
import { LockstepError } from "../shared/errors.ts";
import type { Sampling } from "./sampling.ts";

/** One sample: what it goes on from, for how long, and how its tokens are drawn. */
export interface TextRequest extends Sampling {
  readonly prompt: string;
  readonly maxNewTokens: number;
  /** Ends the sample where it would appear; it is not part of the text. Null: nothing does. */
  readonly stop: string | null;
  readonly seed: number;
  /** Samples of one seed are counted from 0. */
  readonly sample: number;
}

/** What a person says of a sample; the rest is usual. */
export interface TextOptions {
  /** The prompt. Default: a line break, or a held-out sequence for a model that sorts. */
  readonly start?: string;
  /** Default: 500, or as many numbers as are sorted. */
  readonly maxNewTokens?: number;
  /** Divides the logits; 0 always takes the likeliest token. Default: 0.8, or 0 for a model that sorts. */
  readonly temperature?: number;
  /** Draws from the k likeliest tokens; null from all. Default: 200. */
  readonly topK?: number | null;
  /** Draws from the fewest likeliest tokens whose probabilities reach this sum, in (0, 1]. Default: 1. */
  readonly topP?: number;
  /** Ends the text before this one would appear. Default: null, nothing does. */
  readonly stop?: string | null;
  /** The same seed and sample give the same text. Default: 1337. */
  readonly seed?: number;
  /** Which sample of the seed, counted from 0. Default: 0. */
  readonly sample?: number;
}

/** What each option of a request must be. */
export const requestKinds = {
  maxNewTokens: wholeNumber(1),
  temperature: nonNegativeNumber(),
  topK: optional(wholeNumber(1)),
  topP: z.number().gt(0).max(1).describe("a number above 0 and at most 1"),
  stop: optional(text("a text")),
  seed: wholeNumber(0),
  sample: wholeNumber(0),
};

const NAMES = ["maxNewTokens", "temperature", "topK", "topP", "stop", "seed", "sample"] as const;

/** What is usual for any model; the numbers are those of nanoGPT's sample.py. */
export const USUAL = { topK: 200, topP: 1, seed: 1337 } as const;

/** Fills in what `options` leave out. Throws E_CONFIG for one that is out of its range. */
export function textRequest(prompts: Prompts, options: TextOptions): TextRequest {
  const settings = {
    maxNewTokens: options.maxNewTokens ?? prompts.usual.maxNewTokens,
    temperature: options.temperature ?? prompts.usual.temperature,
    topK: options.topK === undefined ? USUAL.topK : options.topK,
    topP: options.topP ?? USUAL.topP,
    stop: options.stop ?? null,
    seed: options.seed ?? USUAL.seed,
    sample: options.sample ?? 0,
  };
  for (const name of NAMES) {
    if (requestKinds[name].safeParse(settings[name]).success) continue;
    throw new LockstepError(
      "E_CONFIG",
      `Cannot generate text as ${name} must be ${requestKinds[name].description}: it is ${settings[name]}`,
    );
  }
  return { ...settings, prompt: options.start ?? prompts.choose(settings) };
}
