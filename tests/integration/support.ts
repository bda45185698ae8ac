/** The program run as a person runs it: real processes in a folder of the test's own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256File } from "../../shared/hash.ts";

/** The program's file. */
export const PROGRAM = fileURLToPath(new URL("../../mod.ts", import.meta.url));

/** A process that takes longer is killed, and its test fails. */
const LONGEST_MS = 90_000;

/** Sorts four numbers below 16 with 14,544 parameters: 40 steps in a fraction of a second. */
export const TINY = [
  "sort-demo",
  "--n_layer=2",
  "--n_embd=24",
  "--block_size=8",
  "--sort.length=4",
  "--batch_size=2",
  "--max_iters=40",
  "--eval_interval=20",
  "--eval_iters=1",
  "--eval_items=0",
  "--warmup_iters=5",
];

/** How a program ended, and all that it wrote. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface StartOptions {
  /** Options of `deno run` in place of `-A`. */
  readonly permissions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take, in ms, where a person would take longer. */
  readonly longestMs?: number;
  /** Whether it leads a process group, as a shell's job does: `interrupt` reaches all that is in it. */
  readonly job?: boolean;
  /** The program's file, where another copy of it is meant. */
  readonly program?: string;
  /** Where it runs, below the sandbox's folder. */
  readonly cwd?: string;
  /** A command that runs the program, such as `ip netns exec NAME`. */
  readonly through?: readonly string[];
}

/** A folder of a test's own: where programs run, and all that they leave. */
export class Sandbox {
  readonly #started: Program[] = [];

  constructor(readonly dir: string, readonly temporary: string) {}

  /** A path in this folder. */
  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  /** Starts `mod.ts` with `words` in this folder. */
  start(words: readonly string[], options: StartOptions = {}): Program {
    const { permissions = ["-A"], env = {}, job = false, longestMs = LONGEST_MS, through = [] } = options;
    const { program: file = PROGRAM, cwd = "." } = options;
    const run = ["run", "--quiet", "--no-prompt", ...permissions, file, ...words];
    const [command, ...args] = [...through, Deno.execPath(), ...run];
    const child = new Deno.Command(command, {
      args,
      cwd: this.path(cwd),
      env: { NO_COLOR: "1", TMPDIR: this.temporary, ...env },
      detached: job,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const program = new Program(child, longestMs);
    this.#started.push(program);
    return program;
  }

  /** Runs it to its end. */
  run(words: readonly string[], options?: StartOptions): Promise<Ended> {
    return this.start(words, options).ended;
  }

  /** Trains in the run directory `name`, which must work, and gives the SHA-256 of the newest weights. */
  async train(name: string, words: readonly string[], options?: StartOptions): Promise<string> {
    const ended = await this.run(["train", ...words, `--out_dir=${name}`], options);
    assert.equal(ended.code, 0, `train ${words.join(" ")} failed: ${ended.out}${ended.err}`);
    return await this.weights(name);
  }

  /** SHA-256 of a run's newest weights. */
  async weights(name: string): Promise<string> {
    const step = (await Deno.readTextFile(this.path(name, "checkpoints", "LATEST"))).trim();
    return await sha256File(this.path(name, "checkpoints", step, "model.safetensors"));
  }

  /** What programs have left of their own among temporary files. */
  leftovers(): string[] {
    return [...Deno.readDirSync(this.temporary)].map(({ name }) => name).filter((name) =>
      name.startsWith("lockstep-")
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#started) program.kill("SIGKILL");
    await Promise.all(this.#started.map(({ ended }) => ended));
    await Deno.remove(this.dir, { recursive: true });
    await Deno.remove(this.temporary, { recursive: true });
  }
}

/** A new sandbox; `await using` ends what runs in it and removes it. */
export async function sandbox(): Promise<Sandbox> {
  return new Sandbox(
    await Deno.makeTempDir({ prefix: "itest-" }),
    await Deno.makeTempDir({ prefix: "itmp-" }),
  );
}

/** A program that runs. */
export class Program {
  readonly pid: number;
  /** Resolves when it has ended; rejects if it had to be killed because it took too long. */
  readonly ended: Promise<Ended>;
  readonly #child: Deno.ChildProcess;
  readonly #text = { out: "", err: "" };

  /** All that it has written so far. */
  get text(): { readonly out: string; readonly err: string } {
    return this.#text;
  }

  #told: () => void = () => {};
  #over = false;

  constructor(child: Deno.ChildProcess, private readonly longestMs: number) {
    this.#child = child;
    this.pid = child.pid;
    this.ended = this.#follow();
    this.ended.catch(() => {}); // whoever awaits it is told
  }

  /** Waits until it has written `text`, to whichever stream. Fails if it ends before. */
  async says(text: string): Promise<void> {
    while (!this.#text.out.includes(text) && !this.#text.err.includes(text)) {
      assert.ok(!this.#over, `it ended without saying ${text}: ${this.#text.out}${this.#text.err}`);
      await new Promise<void>((resolve) => this.#told = resolve);
    }
  }

  kill(signal: Deno.Signal): void {
    if (!this.#over && isAlive(this.pid)) this.#child.kill(signal);
  }

  /** What a terminal's Ctrl-C does to a job. */
  interrupt(): void {
    if (!this.#over) Deno.kill(-this.pid, "SIGINT");
  }

  /** Processes that it started and that live, on Linux. */
  children(): number[] {
    return childrenOf(this.pid);
  }

  async #follow(): Promise<Ended> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill("SIGKILL");
    }, this.longestMs);
    const [{ code }] = await Promise.all([
      this.#child.status,
      this.#collect("out", this.#child.stdout),
      this.#collect("err", this.#child.stderr),
    ]);
    clearTimeout(timer);
    this.#over = true;
    this.#told();
    assert.ok(!late, `it did not end within ${this.longestMs} ms: ${this.#text.out}${this.#text.err}`);
    return { code, ...this.#text };
  }

  async #collect(into: "out" | "err", stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      this.#text[into] += piece;
      this.#told();
    }
  }
}

/** Why tests that look at processes are left out here, for their titles; null where they run. */
export const NO_PROC = Deno.build.os === "linux" ? null : "needs /proc";

/** Processes that a process has started and that live, on Linux. */
export function childrenOf(parent: number): number[] {
  return processes().filter((process) => process.parent === parent).map(({ pid }) => pid);
}

/** True while a process runs; one that has ended and waits for its parent does not. */
export function isAlive(pid: number): boolean {
  return processes().some((process) => process.pid === pid);
}

/** Waits until `holds()`; fails after `ms`. */
export async function within(ms: number, holds: () => boolean, what: string): Promise<void> {
  for (const began = Date.now(); !holds();) {
    assert.ok(Date.now() - began < ms, `${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Every process that lives. */
function processes(): { pid: number; parent: number }[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" ? [] : [{ pid: Number(name), parent: Number(parent) }];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

/** Asserts that a program refused: its exit status, and one line with the code and every one of `words`. */
export function assertRefused(
  ended: Ended,
  expected: { status: number; code: string; words: readonly string[] },
): void {
  const lines = ended.err.trimEnd().split("\n");
  const said = lines.at(-1) ?? "";
  assert.ok(
    said.startsWith(`error ${expected.code}: `),
    `${expected.code} expected: ${ended.out}${ended.err}`,
  );
  for (const word of expected.words) assert.ok(said.includes(word), `"${word}" expected in: ${said}`);
  assert.ok(!/^\s+at /m.test(ended.err), `no stack trace expected: ${ended.err}`);
  assert.equal(ended.code, expected.status, said);
}
