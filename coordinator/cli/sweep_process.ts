import { programArguments } from "../../shared/own_process.ts";

/** What `deno task train` allows. */
const PERMISSIONS = ["read", "write", "env", "sys", "ffi", "run"].map((name) => `--allow-${name}`);

export interface SweepProcessOptions {
  /** Takes all that it writes. */
  readonly log: Deno.FsFile;
  /** Is told each line that it writes to its standard output. */
  onLine?(line: string): void;
}

/** How a process of a sweep has ended. */
export interface SweepProcessEnd {
  /** Its exit status, 128 and more for a signal. */
  readonly code: number;
  /** The last line that it wrote to its standard error, or else to its standard output. */
  readonly lastWords: string;
}

/** A command of the program in a process of its own. */
export interface SweepProcess {
  readonly pid: number;
  readonly ended: Promise<SweepProcessEnd>;
}

/** Starts `mod.ts WORDS` in this environment. */
export function startProcess(
  words: readonly string[],
  { log, onLine = () => {} }: SweepProcessOptions,
): SweepProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArguments(words, { permissions: PERMISSIONS }),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const last = { out: "", err: "" };
  const written = Promise.all([
    copyLines(child.stdout, log, (line) => {
      if (line !== "") last.out = line;
      onLine(line);
    }),
    copyLines(child.stderr, log, (line) => {
      if (line !== "") last.err = line;
    }),
  ]);
  const ended = Promise.all([child.status, written])
    .then(([{ code }]) => ({ code, lastWords: last.err || last.out }));
  return { pid: child.pid, ended };
}

async function copyLines(
  stream: ReadableStream<Uint8Array>,
  log: Deno.FsFile,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let line = "";
  for await (const bytes of stream) {
    keep(log, bytes);
    const lines = (line + decoder.decode(bytes, { stream: true })).split("\n");
    line = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  if (line !== "") onLine(line);
}

function keep(log: Deno.FsFile, bytes: Uint8Array): void {
  try {
    log.writeSync(bytes);
  } catch {
    // The disk is full: what was trained counts, not what was said.
  }
}
