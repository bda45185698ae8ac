/** Text to token ids and back. */
export interface ExportedTokenizer {
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
}

/** Opens the tokenizer that an export's config.json describes; `readFile` gives the text of a file beside it. */
export function openTokenizer(
  config: unknown,
  readFile: (name: string) => Promise<string>,
): Promise<ExportedTokenizer>;
