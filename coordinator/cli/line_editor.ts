import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";

const TAB = 0x09;

export interface LineEditorOptions {
  readonly prompt: string;
  /** What the line may go on with, as whole last words. */
  complete(line: string): readonly string[];
}

/**
 * Reads lines from standard input: on a terminal with editing, history and completion by Tab, elsewhere as they come. Keys
 * can be taken away from it while something else runs.
 */
export class LineEditor {
  readonly isTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  readonly #keys = new PassThrough();
  readonly #readline: Interface;
  readonly #lines: string[] = [];
  #waiting: ((line: string | null) => void) | null = null;
  /** Takes what is typed, in place of the line. */
  #taker: (() => void) | null = null;
  #interrupt: (() => void) | null = null;
  #isOver = false;

  constructor({ prompt, complete }: LineEditorOptions) {
    const completer = (line: string): [string[], string] => {
      const word = line.slice(line.lastIndexOf(" ") + 1);
      return [complete(line).map((found) => `${found} `), word];
    };
    const { isTerminal: terminal } = this;
    this.#readline = createInterface({
      ...{ input: this.#keys, output: process.stdout, terminal, prompt: terminal ? prompt : "" },
      completer,
    });
    this.#readline.on("line", (line) => this.#take(line));
    this.#readline.on("close", () => this.#end());
    this.#readline.on("SIGINT", () => this.#interrupted());
    if (terminal) Deno.stdin.setRaw(true);
    this.#listen();
  }

  /** The next line, with a prompt on a terminal; null at the end of input, and for Ctrl-C or Ctrl-D. */
  next(): Promise<string | null> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#isOver) return Promise.resolve(null);
    if (this.isTerminal) this.#readline.prompt();
    return new Promise((resolve) => this.#waiting = resolve);
  }

  /** Runs `work`; Ctrl-C, or with `anyKey` whatever is typed, aborts its signal. */
  async during<T>(work: (signal: AbortSignal) => Promise<T>, { anyKey }: { anyKey: boolean }): Promise<T> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    this.#interrupt = abort;
    if (anyKey && this.isTerminal) this.#taker = abort;
    try {
      return await work(controller.signal);
    } finally {
      this.#taker = this.#interrupt = null;
    }
  }

  /** Gives the terminal back. */
  close(): void {
    this.#readline.close();
  }

  async #listen(): Promise<void> {
    for await (const chunk of Deno.stdin.readable) {
      if (this.#taker === null) this.#type(chunk);
      else this.#taker();
    }
    this.#keys.end();
  }

  /** A piece ends with each Tab: readline takes one in the middle of a piece for a part of a pasted text. */
  #type(chunk: Uint8Array): void {
    for (let start = 0; start < chunk.length;) {
      const tab = chunk.indexOf(TAB, start);
      const end = tab < 0 ? chunk.length : tab + 1;
      this.#keys.write(chunk.subarray(start, end));
      start = end;
    }
  }

  #take(line: string): void {
    if (this.#waiting === null) this.#lines.push(line);
    else this.#answer(line);
  }

  #answer(line: string | null): void {
    this.#waiting?.(line);
    this.#waiting = null;
  }

  #interrupted(): void {
    if (this.#interrupt !== null) return this.#interrupt();
    console.log("^C");
    this.#readline.close();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.isTerminal) Deno.stdin.setRaw(false);
    this.#answer(null);
  }
}
