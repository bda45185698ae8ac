/** The tokenizers that data may be prepared with. */
export const TOKENIZERS = ["char", "byte", "gpt2"] as const;

export type TokenizerName = typeof TOKENIZERS[number];

/** What meta.json keeps about a tokenizer: enough to build it again. */
export interface TokenizerMeta {
  readonly tokenizer: TokenizerName;
  readonly vocab_size: number;
  /** Of "char": the characters in the order of their ids. */
  readonly chars?: string;
}

/** Text to token ids and back. For well-formed text, `decode(encode(text))` is `text`. */
export interface Tokenizer {
  readonly name: TokenizerName;
  /** Token ids are below this number. */
  readonly vocabSize: number;
  /** Throws E_TOKEN for a character that it does not know, naming it and its place. */
  encode(text: string): Uint16Array<ArrayBuffer>;
  /** Throws E_TOKEN for an id that is not below `vocabSize`. */
  decode(ids: Iterable<number>): string;
  /** For text that comes token by token. */
  decoder(): StreamDecoder;
  meta(): TokenizerMeta;
}

/** Decodes one token at a time and never splits a character: what is incomplete waits for the next token. */
export interface StreamDecoder {
  /** The characters that are complete with this token; often none. */
  push(id: number): string;
  /** What is left over: incomplete bytes come out as U+FFFD. */
  end(): string;
}
