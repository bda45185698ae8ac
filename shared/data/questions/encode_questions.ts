import { LockstepError } from "../../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Question } from "./question.ts";

/** A context with one continuation, in token ids. */
export interface EncodedText {
  readonly tokens: Uint16Array;
  /** Tokens before this index are the context's; there is at least one. */
  readonly from: number;
}

/** A question in token ids, by continuation. */
export interface EncodedQuestion {
  readonly question: Question;
  readonly texts: readonly EncodedText[];
}

/**
 * Encodes context and continuation together and cuts where the context alone ends, as lm-evaluation-harness does. Throws E_TASK
 * for a character that the tokenizer does not know, naming it.
 */
export function encodeQuestions(
  questions: readonly Question[],
  { name, tokenizer }: { name: string; tokenizer: Tokenizer },
): EncodedQuestion[] {
  try {
    return questions.map((question) => {
      const from = tokenizer.encode(question.context).length;
      const texts = question.continuations.map((continuation) => ({
        tokens: tokenizer.encode(question.context + continuation),
        from,
      }));
      return { question, texts };
    });
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    throw new LockstepError(
      "E_TASK",
      `Cannot read ${name} in the model's own tokens: ${error.message}`,
      { cause: error },
    );
  }
}

/** Tokens that a model reads for the longest text: all but the last one. */
export function longestInput(questions: readonly EncodedQuestion[]): number {
  return questions.reduce(
    (most, { texts }) => texts.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), most),
    1,
  );
}

/** Fills row `row` of (B, T): `text` without its last token, and its continuation as the targets; the rest stays. */
export function fillRow(
  text: EncodedText,
  { row, length, tokens, targets }: { row: number; length: number; tokens: Int32Array; targets: Int32Array },
): void {
  tokens.set(text.tokens.subarray(0, -1), row * length);
  targets.set(text.tokens.subarray(text.from), row * length + text.from - 1);
}

/** The summed log-likelihood of a row's continuation, in nats. */
export function sumRow(
  text: EncodedText,
  { row, length, output }: { row: number; length: number; output: Int32Array | Float32Array },
): number {
  let nll = 0;
  for (let i = text.from; i < text.tokens.length; i++) nll += output[row * length + i - 1];
  return -nll;
}
