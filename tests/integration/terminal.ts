/** A real terminal, made by tmux, in which a test types and reads as a person does. */
import assert from "node:assert/strict";
import { PROGRAM, type Sandbox } from "./support.ts";

/** Why tests that need a terminal are left out here, for their titles; null where they run. */
export const NO_TERMINAL = hasTmux() ? null : "needs tmux";

const COLUMNS = 120, ROWS = 50;
const LONGEST_MS = 60_000;

function hasTmux(): boolean {
  try {
    return new Deno.Command("tmux", { args: ["-V"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** One window; `await using` closes it, and ends what runs in it. */
export class Terminal implements AsyncDisposable {
  readonly #server = `lockstep-test-${crypto.randomUUID()}`;

  private constructor() {}

  /** Opens a window in which `mod.ts` runs with `words` in the sandbox's folder; how it ends is shown as `ended: STATUS`. */
  static async open(
    box: Sandbox,
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Terminal> {
    const terminal = new Terminal();
    const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const program = [
      "env",
      ...settings,
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      "-A",
      PROGRAM,
      ...words,
    ];
    const shell = `${program.map(quoted).join(" ")}; echo ended: $?; exec sleep 1000`;
    const size = ["-x", String(COLUMNS), "-y", String(ROWS)];
    await terminal.#tmux(["-f", "/dev/null", "new-session", "-d", "-c", box.dir, ...size, shell]);
    return terminal;
  }

  /** Types text, or presses keys by their tmux names: "Enter", "Tab", "C-c". */
  async type(...keys: string[]): Promise<void> {
    for (const key of keys) await this.#tmux(["send-keys", key]);
  }

  /** Types a line. */
  async enter(line: string): Promise<void> {
    await this.#tmux(["send-keys", "-l", line]);
    await this.type("Enter");
  }

  /** All that is and was shown, lines that were too wide in one. */
  async text(): Promise<string> {
    return await this.#tmux(["capture-pane", "-p", "-J", "-S", "-"]);
  }

  /** Waits until `pattern` is shown; resolves to its match. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (const began = Date.now();;) {
      const text = await this.text();
      const match = pattern.exec(text);
      if (match !== null) return match;
      assert.ok(Date.now() - began < LONGEST_MS, `${pattern} expected within ${LONGEST_MS} ms:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux(["kill-server"]);
  }

  async #tmux(words: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-L", this.#server, ...words],
      env: { TERM: "xterm" },
    }).output();
    assert.ok(success, `tmux ${words.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
