import bytePairs from "gpt-tokenizer/bpeRanks/r50k_base";
import { spellBytes } from "./byte_letters.ts";
import { END_OF_TEXT } from "./gpt2_tokenizer.ts";

/** What vocab.json and merges.txt of GPT-2 hold. */
export interface BytePairVocabulary {
  /** Tokens in the order of their ids, each byte by its letter. */
  readonly tokens: readonly string[];
  /** Which two tokens are joined, most urgent first: "Ġ t". */
  readonly merges: readonly string[];
}

/** GPT-2's vocabulary as Hugging Face writes it, made of the ranks by which gpt-tokenizer has it. */
export function gpt2Vocabulary(): BytePairVocabulary {
  const utf8 = new TextEncoder();
  const tokens = Array.from({ length: END_OF_TEXT }, (_, id) => {
    const pair = bytePairs[id];
    return spellBytes(typeof pair === "string" ? utf8.encode(pair) : pair);
  });
  const ranks = new Map(tokens.map((token, id) => [token, id]));
  const merges = tokens.slice(256).map((token, i) => lastMerge(token, { ranks, below: 256 + i }));
  return { tokens: [...tokens, "<|endoftext|>"], merges };
}

/** The two parts that a token falls into when only merges that come before it are made. */
function lastMerge(token: string, { ranks, below }: { ranks: Map<string, number>; below: number }): string {
  const parts = [...token];
  while (parts.length > 2) {
    let best = { at: -1, rank: below };
    for (let at = 0; at + 1 < parts.length; at++) {
      const rank = ranks.get(parts[at] + parts[at + 1]);
      if (rank !== undefined && rank < best.rank) best = { at, rank };
    }
    parts.splice(best.at, 2, parts[best.at] + parts[best.at + 1]);
  }
  return parts.join(" ");
}
