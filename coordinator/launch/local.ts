import { join } from "node:path";
import { encodeKeys, type MemberKeys } from "../../shared/keys.ts";
import { programArguments } from "../../shared/own_process.ts";
import { isRunning, type LocalRecord } from "./members_file.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import type { IpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import type { WorkerOutput } from "./worker_output.ts";

/** A worker's process has ended before it should. */
export interface WorkerEnd {
  readonly id: string;
  /** "exit status 1", "signal SIGKILL", with what it said last. */
  readonly how: string;
  /** Whether it is started again. */
  readonly restarts: boolean;
  /** Its exit status; null for a signal, and where another process has started it. */
  readonly code: number | null;
}

/** How a process has ended. */
export interface ProcessEnd {
  /** In words. */
  readonly how: string;
  readonly code: number | null;
}

/** The worker processes of one machine. */
export interface LocalWorkers {
  readonly ids: readonly string[];
  /** The processes as they are now, by id. */
  readonly pids: ReadonlyMap<string, number>;
  /** Waits until all have ended by themselves; those that have not after `graceMs` are killed. */
  finish(graceMs: number): Promise<void>;
  /** Ends all at once. */
  kill(): Promise<void>;
}

export interface LaunchOptions {
  readonly count: number;
  /** Where the coordinator listens. */
  readonly endpoint: string;
  /** Where the workers' data sockets lie. */
  readonly directory: IpcDirectory;
  /** With which the workers join; only over tcp. They reach them through a pipe. */
  readonly keys?: MemberKeys;
  /** Whether they join over tcp without keys. */
  readonly insecure?: boolean;
  readonly verbose: boolean;
  /** How often a worker that ends before it should is started again. */
  readonly maxRestarts: number;
  /** Whether a worker that ends so is not started again; never where it is not given. */
  isFinal?(end: ProcessEnd): boolean;
  /** What the workers' names begin with. */
  readonly prefix?: string;
  /** The first worker's index among those of this machine. */
  readonly firstLocalRank?: number;
  /** Further words of their command. */
  readonly words?: readonly string[];
  /** Further variables of their environment. */
  environment?(localRank: number): Record<string, string>;
  /** Where their standard error goes. */
  readonly output?: WorkerOutput;
  onEnd(end: WorkerEnd): void;
  /** Where workers that live on without this process, and wait for another coordinator, lock a file each; without it they don't. */
  readonly locks?: string;
  /** How many seconds they wait. */
  readonly patience?: number;
  /** Workers that an earlier coordinator has left: those that run are not started again. */
  readonly adopted?: readonly LocalRecord[];
  /** Further options of `deno run`: which lock file. */
  readonly runOptions?: readonly string[];
  /** Names of NVIDIA GPUs: the worker of local rank i sees the i-th only, and they go round. */
  readonly gpus?: readonly string[];
}

/** What a worker may do: read data, write the compile cache, load native libraries; start nothing, reach no network. */
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];

/** Lines of a worker's stderr that are kept to explain its death. */
const KEPT_LINES = 20;
/** Of a line without an end so much is kept, in characters. */
const LONGEST_LINE = 100_000;

/** A worker's process: one that this process has started, or one that an earlier coordinator has left. */
interface LocalProcess {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  kill(): void;
}

/**
 * Starts workers as `mod.ts worker …`, processes of the program itself that is not imported: this file stays on the
 * coordinator's side. They end with this process, however it ends: each holds the other end of a pipe
 * that closes then; or they outlive it, and wait for another coordinator. They are no part of this process's group: what an
 * interrupt from the terminal means to them is decided here.
 */
export function launchLocal(options: LaunchOptions): LocalWorkers {
  const { count, maxRestarts, onEnd, adopted = [], prefix = "", firstLocalRank = 0 } = options;
  const ids = Array.from({ length: count }, (_, i) => `${prefix}worker-${i}`);
  const processes = new Map<string, LocalProcess>();
  let ending = false;
  const run = (process: LocalProcess, { id, localRank, restartsLeft }: Place) => {
    processes.set(id, process);
    process.ended.then((end) => {
      if (ending) return;
      const { how, code } = end;
      const restarts = restartsLeft > 0 && !options.isFinal?.(end);
      onEnd({ id, how, restarts, code });
      if (!restarts) return;
      const attempt = maxRestarts - restartsLeft + 1;
      run(start(id, { ...options, localRank, attempt }), { id, localRank, restartsLeft: restartsLeft - 1 });
    });
  };
  if (options.locks !== undefined) Deno.mkdirSync(options.locks, { recursive: true });
  for (const [index, id] of ids.entries()) {
    const localRank = firstLocalRank + index;
    const left = adopted.find((record) => record.id === id && isRunning(record));
    const process = left === undefined ? start(id, { ...options, localRank, attempt: 0 }) : adopt(left);
    run(process, { id, localRank, restartsLeft: maxRestarts });
  }
  const ended = () => Promise.all([...processes.values()].map((process) => process.ended));
  const killAll = () => {
    ending = true;
    for (const process of processes.values()) process.kill();
  };
  return {
    ids,
    get pids() {
      return new Map([...processes].map(([id, { pid }]) => [id, pid]));
    },
    async finish(graceMs) {
      ending = true;
      const timer = setTimeout(killAll, graceMs);
      await ended();
      clearTimeout(timer);
    },
    async kill() {
      killAll();
      await ended();
    },
  };
}

/** The file that a worker locks. */
export function lockOf(locks: string, id: string): string {
  return join(locks, id);
}

interface Place {
  readonly id: string;
  readonly localRank: number;
  readonly restartsLeft: number;
}

/** How often it is looked whether an adopted process still runs, in ms. */
const WATCH_MS = 250;

function adopt(record: LocalRecord): LocalProcess {
  const { promise: ended, resolve } = Promise.withResolvers<ProcessEnd>();
  const timer = setInterval(() => {
    if (isRunning(record)) return;
    clearInterval(timer);
    resolve({ how: `process ${record.pid} ended`, code: null });
  }, WATCH_MS);
  return {
    pid: record.pid,
    ended,
    kill: () => void (isRunning(record) && sendSignal(record.pid, "SIGKILL")),
  };
}

/** What a worker's process sees of the machine's NVIDIA GPUs; with none to deal, all of them. */
export function gpuEnvironment(gpus: readonly string[], localRank: number): Record<string, string> {
  return gpus.length === 0 ? {} : { CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length] };
}

function start(
  id: string,
  {
    localRank,
    endpoint,
    directory,
    keys,
    insecure = false,
    verbose,
    locks,
    patience,
    runOptions = [],
    gpus = [],
    words: more = [],
    environment,
    output,
    attempt,
  }: LaunchOptions & {
    localRank: number;
    attempt: number;
  },
): LocalProcess {
  const log = output?.fileOf(id, attempt) ?? null;
  const isPiped = locks === undefined;
  const words = [
    `--endpoint=${endpoint}`,
    locks === undefined ? `--data-endpoint=${directory.endpoint(id)}` : `--outlives=${lockOf(locks, id)}`,
    `--id=${id}`,
    `--local-rank=${localRank}`,
    ...(keys === undefined ? [] : ["--keys=-"]),
    ...(insecure ? ["--insecure"] : []),
    ...(patience === undefined ? [] : [`--patience=${patience}`]),
    ...(verbose ? ["--verbose"] : []),
    ...more,
  ];
  const args = programArguments(["worker", ...words], { permissions: PERMISSIONS, runOptions });
  // A pipe that nobody reads any more would end a worker that outlives this process: it writes to a file by itself.
  const [command, ...given] = isPiped || log === null
    ? [Deno.execPath(), ...args]
    : ["/bin/sh", "-c", 'exec 2>>"$0"; exec "$@"', log, Deno.execPath(), ...args];
  const child = new Deno.Command(command, {
    args: given,
    env: { ...gpuEnvironment(gpus, localRank), ...environment?.(localRank) },
    detached: true,
    stdin: "piped", // carries the keys, and its end tells the worker that this process is gone
    stdout: "null",
    stderr: isPiped ? "piped" : "inherit",
  }).spawn();
  if (keys !== undefined) handOver(child, keys);
  const lines = isPiped ? keepStderr(child.stderr, output?.sinkOf(id, log)) : Promise.resolve([]);
  return { pid: child.pid, ended: endOf(child, lines), kill: () => sendSignal(child.pid, "SIGKILL") };
}

/** Keys go through a pipe, as others can see a process's words and environment. */
async function handOver({ stdin }: Deno.ChildProcess, keys: MemberKeys): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${encodeKeys(keys)}\n`)).catch(() => {}); // its end says why
  writer.releaseLock();
}

async function endOf(child: Deno.ChildProcess, lines: Promise<string[]>): Promise<ProcessEnd> {
  const { code, signal } = await child.status;
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  const last = (await lines).at(-1);
  const said = last === undefined ? "" : `; it said last: ${last}`;
  return { how: `process ${child.pid} ended with ${how}${said}`, code: signal === null ? code : null };
}

/** Reads a worker's stderr, passes each line on, and resolves to its last lines when it ends. */
async function keepStderr(
  stream: ReadableStream<Uint8Array>,
  sink?: (line: string) => void,
): Promise<string[]> {
  const kept: string[] = [];
  let rest = "";
  const take = (line: string) => {
    sink?.(line);
    if (line.trim() !== "") kept.push(line);
    if (kept.length > KEPT_LINES) kept.shift();
  };
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(-LONGEST_LINE);
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
  return kept;
}
