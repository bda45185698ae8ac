import { z } from "zod";
import { LockstepError } from "./errors.ts";
import { fileError } from "./files.ts";
import { parseText } from "./jsonl.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** How much a log record matters, in rising order. */
export type Level = typeof LEVELS[number];

const recordSchema = z.object({
  /** ISO 8601, UTC. */
  time: z.string(),
  /** Who says it: "coordinator", "worker-1". */
  process: z.string(),
  level: z.enum(LEVELS),
  /** What happened, in snake_case, for machines: "checkpoint_published". */
  event: z.string(),
  fields: z.record(z.string(), z.unknown()),
});

/** One log record, a line of log.jsonl. */
export type LogRecord = z.infer<typeof recordSchema>;

/** A line of log.jsonl; null where it is none. */
export function parseLogRecord(text: string): LogRecord | null {
  return parseText(recordSchema, text);
}

/** Where records go. */
export type Sink = (record: LogRecord) => void;

/** A process's structured log: each record goes to every sink. */
export class Log {
  readonly #process: string;
  readonly #sinks: readonly Sink[];
  readonly #now: () => Date;

  constructor(process: string, options: { sinks: readonly Sink[]; now?: () => Date }) {
    this.#process = process;
    this.#sinks = options.sinks;
    this.#now = options.now ?? (() => new Date());
  }

  debug(event: string, fields: Record<string, unknown> = {}): void {
    this.#write("debug", { event, fields });
  }

  info(event: string, fields: Record<string, unknown> = {}): void {
    this.#write("info", { event, fields });
  }

  warn(event: string, fields: Record<string, unknown> = {}): void {
    this.#write("warn", { event, fields });
  }

  error(event: string, fields: Record<string, unknown> = {}): void {
    this.#write("error", { event, fields });
  }

  #write(level: Level, what: { event: string; fields: Record<string, unknown> }): void {
    const record = { time: this.#now().toISOString(), process: this.#process, level, ...what };
    for (const sink of this.#sinks) sink(record);
  }
}

/** A sink that writes records of `level` and above to standard error, a line each. */
export function consoleSink(
  level: Level,
  options: { write?: (line: string) => void } = {},
): Sink {
  const write = options.write ?? ((line) => console.error(line));
  return (record) => {
    if (LEVELS.indexOf(record.level) < LEVELS.indexOf(level)) return;
    write(describeRecord(record));
  };
}

/** A record in a line: `12:30:05 warn worker-1 event key=value`. */
export function describeRecord({ time, level, process, event, fields }: LogRecord): string {
  const described = Object.entries(fields).map(([key, value]) => `${key}=${toJson(printable(key, value))}`);
  return [time.slice(11, 19), level, process, event, ...described].join(" ");
}

/**
 * A sink that appends records to the file at `path`, each in one write, so that several processes can share it. When a write
 * fails it says so once on standard error and goes quiet: training does not stop for its log. Throws E_OUT_DIR, E_NO_SPACE
 * where the file cannot be opened.
 */
export function fileSink(path: string): Sink & Disposable {
  const file = openLog(path);
  let broken = false;
  const sink = (record: LogRecord) => {
    if (broken) return;
    try {
      file.writeSync(new TextEncoder().encode(toJson(record) + "\n"));
    } catch (error) {
      broken = true;
      console.error(`Cannot write ${path} any more: ${error instanceof Error ? error.message : error}`);
    }
  };
  return Object.assign(sink, { [Symbol.dispose]: () => file.close() });
}

/** Opens a log to append; a line that a crash left torn is ended, so that it spoils no other. */
function openLog(path: string): Deno.FsFile {
  try {
    const file = Deno.openSync(path, { read: true, append: true, create: true });
    const { size } = file.statSync();
    const last = new Uint8Array(1);
    file.seekSync(Math.max(0, size - 1), Deno.SeekMode.Start);
    if (file.readSync(last) === 1 && last[0] !== 0x0a) file.writeSync(new Uint8Array([0x0a]));
    return file;
  } catch (error) {
    throw fileError(error, `open ${path}`);
  }
}

/** Fields by these names never reach a log, whatever they hold. */
const SECRET =
  /secret|password|passphrase|private_?key|join_?key|authorization|(auth|access|page|admin)_?token/i;

function toJson(value: unknown): string {
  return JSON.stringify(value, printable) ?? "null";
}

/** What a log shows of a value: secrets and what JSON cannot say become strings. */
function printable(key: string, value: unknown): unknown {
  if (SECRET.test(key)) return "[secret]";
  if (value instanceof LockstepError) return { code: value.code, message: value.message };
  if (value instanceof Error) return { name: value.name, message: value.message, stack: value.stack };
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}
