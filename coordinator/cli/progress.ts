import type { OnProgress, ProgressReport } from "../../shared/progress.ts";

/** Shows a person how far something is, by a bar where there is a terminal: this file alone decides that. */
export interface Progress extends Disposable {
  /** Whether there is a bar: who has plain lines to tell the same leaves them out. */
  readonly isShown: boolean;
  /** Moves the bar; that of something else takes its place. It goes when all is done. */
  readonly update: OnProgress;
  /** Writes what stays, above the bar. */
  above(write: () => void): void;
}

export interface ProgressOptions {
  readonly quiet?: boolean;
  /** Default stderr, where it does not get among results. */
  readonly stream?: "stdout" | "stderr";
}

/** A progress that is shown on a stream which is a terminal, unless `quiet`. */
export function openProgress({ quiet = false, stream = "stderr" }: ProgressOptions = {}): Progress {
  return showsProgress({ quiet, stream }) ? new Bar(Deno[stream]) : NO_BAR;
}

/** Whether a stream is a terminal that a bar may be drawn on. */
export function showsProgress({ quiet = false, stream = "stderr" }: ProgressOptions = {}): boolean {
  return !quiet && Deno[stream].isTerminal() && Deno.env.get("TERM") !== "dumb";
}

const NO_BAR: Progress = {
  isShown: false,
  update: () => {},
  above: (write) => write(),
  [Symbol.dispose]: () => {},
};

const CELLS = 30;
/** Two drawings are this far apart, in ms. */
const PAUSE_MS = 100;

class Bar implements Progress {
  readonly isShown = true;
  #report: ProgressReport | undefined;
  #drawnAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly stream: typeof Deno.stderr) {}

  readonly update = (report: ProgressReport): void => {
    const { what, done, total } = report;
    if (total !== null && done >= total) return this.#clear();
    const isDue = what !== this.#report?.what || performance.now() - this.#drawnAt >= PAUSE_MS;
    this.#report = report;
    if (isDue) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), PAUSE_MS);
  };

  above(write: () => void): void {
    const report = this.#report;
    this.#clear();
    write();
    this.#report = report;
    if (report !== undefined) this.#draw();
  }

  #draw(): void {
    this.#stopTimer();
    if (this.#report === undefined) return;
    this.#drawnAt = performance.now();
    this.#write(`\r${describeProgress(this.#report).slice(0, columns() - 1)}\x1b[K`);
  }

  #clear(): void {
    this.#stopTimer();
    if (this.#report !== undefined) this.#write("\r\x1b[K");
    this.#report = undefined;
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #write(text: string): void {
    this.stream.writeSync(new TextEncoder().encode(text));
  }

  [Symbol.dispose](): void {
    this.#clear();
  }
}

function columns(): number {
  try {
    return Deno.consoleSize().columns || 80; // 0 where a terminal does not know
  } catch {
    return 80;
  }
}

/** `██████░░░░ iter 40/1000  loss 2.1032`; without a bar where the total is not known. */
export function describeProgress({ what, done, total, isBytes = false, note }: ProgressReport): string {
  const count = (n: number) => isBytes ? `${(n / 1e6).toFixed(1)} MB` : String(n);
  const filled = total === null || total === 0 ? 0 : Math.round(CELLS * Math.min(1, done / total));
  const bar = total === null ? "" : `${"█".repeat(filled)}${"░".repeat(CELLS - filled)} `;
  const of = total === null ? count(done) : `${isBytes ? (done / 1e6).toFixed(1) : done}/${count(total)}`;
  return `${bar}${what} ${of}${note === undefined ? "" : `  ${note}`}`;
}
