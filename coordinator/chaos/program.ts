import { programArguments } from "../../shared/own_process.ts";
import { pause } from "./pause.ts";

/** What `deno task cli` allows, the network apart. */
const PERMISSIONS = ["read", "write", "env", "sys", "ffi", "run"].map((name) => `--allow-${name}`);

/** What a program wrote is there so long after its end, in ms; workers that outlive it keep its standard error open. */
const LAST_WORDS_MS = 300;

/** How a program ended. */
export interface Ended {
  /** Its exit status; 128 and more for a signal. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** A command that runs the program, such as `ip netns exec NAME`. */
  readonly through?: readonly string[];
}

/** The program, run as a person runs it, and what it has said so far. */
export class Program {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** When each step was told to be made, in ms since 1970. */
  readonly iterations = new Map<number, number>();
  /** The last step that it told. */
  iteration = -1;
  isOver = false;
  readonly #child: Deno.ChildProcess;
  readonly #text = { out: "", err: "" };

  /** Starts `mod.ts` with `words`. */
  constructor(readonly words: readonly string[], { cwd, env, through = [] }: ProgramOptions) {
    const args = programArguments(words, { permissions: PERMISSIONS });
    const [command, ...more] = [...through, Deno.execPath(), ...args];
    this.#child = new Deno.Command(command, {
      args: more,
      cwd,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.ended = this.#follow();
  }

  get text(): { readonly out: string; readonly err: string } {
    return this.#text;
  }

  /** Its last words, to explain a failure. */
  get lastWords(): string {
    const lines = (this.#text.err.trim() || this.#text.out.trim()).split("\n");
    return lines.slice(-2).join(" | ").slice(0, 500);
  }

  kill(signal: Deno.Signal): void {
    if (!this.isOver) this.#child.kill(signal);
  }

  async #follow(): Promise<Ended> {
    const written = Promise.all([
      this.#collect("out", this.#child.stdout),
      this.#collect("err", this.#child.stderr),
    ]);
    const { code } = await this.#child.status;
    await Promise.race([written, pause(LAST_WORDS_MS)]);
    this.isOver = true;
    return { code, ...this.#text };
  }

  async #collect(into: "out" | "err", stream: ReadableStream<Uint8Array>): Promise<void> {
    let line = "";
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      this.#text[into] += piece;
      const lines = (line + piece).split("\n");
      line = lines.pop() ?? "";
      if (into === "out") lines.forEach((whole) => this.#note(whole));
    }
  }

  #note(line: string): void {
    const [, step] = /^iter (\d+):/.exec(line) ?? [];
    if (step === undefined) return;
    this.iteration = Number(step);
    if (!this.iterations.has(this.iteration)) this.iterations.set(this.iteration, Date.now());
  }
}
