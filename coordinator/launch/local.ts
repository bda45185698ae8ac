import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LockstepError } from "../../shared/errors.ts";
import { encodeKeys, type MemberKeys } from "../../shared/keys.ts";
import type { IpcDirectory } from "../../shared/zmq/ipc_directory.ts";

/** The worker processes of one machine. */
export interface LocalWorkers {
  readonly ids: readonly string[];
  /** Rejects with E_WORKER_DIED when one ends before `finish` or `kill`. */
  readonly lost: Promise<never>;
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
  readonly verbose: boolean;
  /** Further options of `deno run`: which lock file. */
  readonly runOptions?: readonly string[];
  /** Names of NVIDIA GPUs: the worker of local rank i sees the i-th only, and they go round. */
  readonly gpus?: readonly string[];
}

/** What a worker may do: read data, write the compile cache, load native libraries; start nothing, reach no network. */
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];

/** The program itself, started as a process of its own and not imported: this file stays on the coordinator's side. */
const PROGRAM = join(fileURLToPath(new URL("../..", import.meta.url)), "mod.ts");

/** Lines of a worker's stderr that are kept to explain its death. */
const KEPT_LINES = 20;

/**
 * Starts workers as `mod.ts worker …`. They end with this process, however it ends: each holds the other end of a pipe
 * that closes then. They are no part of this process's group: what an interrupt from the terminal means to them is
 * decided here.
 */
export function launchLocal(
  { count, endpoint, directory, keys, verbose, runOptions = [], gpus = [] }: LaunchOptions,
): LocalWorkers {
  const ids = Array.from({ length: count }, (_, i) => `worker-${i}`);
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => {}); // whoever waits for members is told
  let ending = false;
  const children = ids.map((id, localRank) => {
    const child = start({
      id,
      localRank,
      endpoint,
      dataEndpoint: directory.endpoint(id),
      keys,
      verbose,
      runOptions,
      env: gpuEnvironment(gpus, localRank),
    });
    const stderr = keepStderr(child.stderr);
    child.status.then(async ({ code, signal }) => {
      if (ending) return;
      const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
      const last = (await stderr).at(-1);
      const said = last === undefined ? "" : `; it said last: ${last}`;
      reject(
        new LockstepError(
          "E_WORKER_DIED",
          `Cannot go on: ${id} (process ${child.pid}) ended with ${how}${said}`,
        ),
      );
    });
    return child;
  });
  const ended = () => Promise.all(children.map((child) => child.status));
  const killAll = () => {
    ending = true;
    for (const child of children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
    }
  };
  return {
    ids,
    lost,
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

/** What a worker's process sees of the machine's NVIDIA GPUs; with none to deal, all of them. */
export function gpuEnvironment(gpus: readonly string[], localRank: number): Record<string, string> {
  return gpus.length === 0 ? {} : { CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length] };
}

interface StartOptions extends Required<Pick<LaunchOptions, "endpoint" | "verbose" | "runOptions">> {
  readonly id: string;
  readonly localRank: number;
  readonly dataEndpoint: string;
  readonly keys: MemberKeys | undefined;
  readonly env: Record<string, string>;
}

function start(
  { id, localRank, endpoint, dataEndpoint, keys, verbose, runOptions, env }: StartOptions,
): Deno.ChildProcess {
  const words = [
    `--endpoint=${endpoint}`,
    `--data-endpoint=${dataEndpoint}`,
    `--id=${id}`,
    `--local-rank=${localRank}`,
    ...(keys === undefined ? [] : ["--keys=-"]),
    ...(verbose ? ["--verbose"] : []),
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--cached-only",
      ...runOptions,
      ...PERMISSIONS,
      PROGRAM,
      "worker",
      ...words,
    ],
    env,
    detached: true,
    stdin: "piped", // carries the keys, and its end tells the worker that this process is gone
    stdout: "null",
    stderr: "piped",
  }).spawn();
  if (keys !== undefined) handOver(child, keys);
  return child;
}

/** Keys go through a pipe, as others can see a process's words and environment. */
async function handOver({ stdin }: Deno.ChildProcess, keys: MemberKeys): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${encodeKeys(keys)}\n`)).catch(() => {}); // its end says why
  writer.releaseLock();
}

/** Reads a worker's stderr, and resolves to its last lines when it ends. */
async function keepStderr(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + chunk).split("\n").slice(-KEPT_LINES).join("\n");
  }
  return text.split("\n").filter((line) => line.trim() !== "");
}
