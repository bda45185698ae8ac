import { LockstepError } from "../../shared/errors.ts";

const MOST_BYTES = 65_536;

/**
 * Standard input as a pipe from the process that started this one: a first line that is for this process alone, and an end
 * that tells that the parent is gone.
 */
export class ParentPipe {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  /** `input` is standard input unless a test gives another. */
  constructor(input: ReadableStream<Uint8Array> = Deno.stdin.readable) {
    this.#reader = input.getReader();
  }

  /** The first line. Rejects with E_KEY where the pipe ends before it does, or where it has more than 64 KiB. */
  async firstLine(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("\n") && text.length <= MOST_BYTES) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
    throw new LockstepError(
      "E_KEY",
      "Cannot read keys from standard input as no line of at most 64 KiB came",
    );
  }

  /** Resolves when the parent has closed its end, as its death does. */
  async ended(): Promise<void> {
    while (!(await this.#reader.read()).done); // nothing else is sent; only the end matters
  }
}
