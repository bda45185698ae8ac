import { dirname, join } from "node:path";

/** Where the standard error of a machine's workers goes. */
export interface WorkerOutput {
  /** The file of a worker's attempt, its folder made; null where there is none. */
  fileOf(id: string, attempt: number): string | null;
  /** Takes a worker's lines: into `file`, and to whoever watches. */
  sinkOf(id: string, file: string | null): (line: string) => void;
}

export interface WorkerOutputOptions {
  /** Files go to `LOG_DIR/ID/ATTEMPT/stderr.log`; null makes none. */
  readonly log_dir: string | null;
  /** Shows a line, which begins with the worker's name in brackets. */
  readonly show?: (line: string) => void;
}

/** Files and shows what workers write, as torchrun's `--log-dir` and `--tee` do. */
export function workerOutput({ log_dir, show }: WorkerOutputOptions): WorkerOutput {
  return {
    fileOf(id, attempt) {
      if (log_dir === null) return null;
      const path = join(log_dir, id, String(attempt), "stderr.log");
      Deno.mkdirSync(dirname(path), { recursive: true });
      return path;
    },
    sinkOf(id, file) {
      return (line) => {
        if (file !== null) Deno.writeTextFileSync(file, `${line}\n`, { append: true });
        show?.(`[${id}] ${line}`);
      };
    },
  };
}
