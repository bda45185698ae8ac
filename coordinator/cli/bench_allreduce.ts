import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { moduleArguments } from "../../shared/own_process.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { makeKeyPair } from "../../shared/zmq/curve.ts";
import { createIpcDirectory, type IpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { Arena } from "../../worker/arena.ts";
import { Accumulator } from "../../worker/collective/accumulator.ts";
import {
  type BenchAnswer,
  benchAnswer,
  type BenchOrder,
  benchReady,
  type BenchSetup,
  fillBenchGradient,
} from "../../worker/collective/bench_member.ts";
import { hashHex, hashPart } from "../../worker/kernels/block_hash.ts";
import { loadKernels } from "../../worker/kernels/kernels.ts";

const WARM_UPS = 5;
const FEWEST = 20;

/** As nccl-tests defines them: bytes of one gradient by the mean time, and that by 2(p − 1)/p for p processes. */
export interface AllReduceFigures {
  busbw_gb_s: number;
  algbw_gb_s: number;
  p50_ms: number;
  p99_ms: number;
}

/** What is measured. */
export interface BenchAllReduceOptions {
  /** Processes, each with one gradient. */
  workers: number;
  /** float32 numbers of a gradient. */
  elements: number;
  /** As if each process were on a host of its own: over tcp, encrypted. */
  encrypted?: boolean;
  /** The largest frame, a multiple of 16,384 numbers. */
  frameElements?: number;
  /** How long to measure at least; two seconds if not given. */
  measuredMs?: number;
}

/**
 * Measures the all-reduce of `workers` processes on this machine, all checks on: five to warm up, then at least
 * `measuredMs` and twenty times. The result is compared with one that is computed without any socket; E_DIVERGED if it differs.
 */
export async function benchAllReduce(options: BenchAllReduceOptions): Promise<AllReduceFigures> {
  const { measuredMs = 2_000 } = options;
  const group = await BenchGroup.start(options);
  try {
    const fastest = Math.min(...await group.reduce(WARM_UPS));
    return figures(await group.reduce(Math.max(FEWEST, Math.ceil(measuredMs / fastest))), options);
  } finally {
    await group.end();
  }
}

/** A line that `serveAllReduce` reads. */
const order = z.strictObject({ count: z.int().positive() });

/**
 * Answers each line `{"count":K}` of standard input with `{"ms":[…]}`, the times of K all-reduces, so that they can be
 * measured in turns with another program's. `{"ready":true}` comes first; the end of the input ends it.
 */
export async function serveAllReduce(options: BenchAllReduceOptions): Promise<void> {
  const group = await BenchGroup.start(options);
  try {
    await group.reduce(WARM_UPS);
    console.log(JSON.stringify({ ready: true }));
    for await (const line of createInterface({ input: process.stdin })) {
      console.log(JSON.stringify({ ms: await group.reduce(order.parse(JSON.parse(line)).count) }));
    }
  } finally {
    await group.end();
  }
}

/** The processes that reduce together. */
class BenchGroup {
  private constructor(
    private readonly members: readonly MemberProcess[],
    private readonly expected: string,
    private readonly ipc: IpcDirectory,
  ) {}

  static async start(options: BenchAllReduceOptions): Promise<BenchGroup> {
    const { workers, elements, frameElements, encrypted = false } = options;
    const expected = await expectedHash(options);
    const ipc = createIpcDirectory();
    const endpoints = Array.from({ length: workers }, (_, rank) => ipc.endpoint(`m${rank}`));
    const keys = encrypted ? endpoints.map(() => makeKeyPair()) : null;
    const publicKeys = keys?.map(({ publicKey }) => publicKey) ?? [];
    const members = endpoints.map((_, rank) =>
      new MemberProcess({
        rank,
        endpoints,
        elements,
        frameElements,
        keys: keys === null ? null : { own: keys[rank], publicKeys },
      })
    );
    const ports = await Promise.all(members.map((member) => member.ready()));
    if (encrypted) {
      members.forEach((member, rank) => member.connect(ports.map((own) => `tcp://127.0.0.1:${own[rank]}`)));
    }
    return new BenchGroup(members, expected, ipc);
  }

  /** Milliseconds of each of `count` all-reduces at rank 0. */
  async reduce(count: number): Promise<number[]> {
    const answers = await Promise.all(this.members.map((member) => member.reduce(count)));
    answers.forEach(({ gradHash }, rank) => checkHash(gradHash, { rank, expected: this.expected }));
    return answers[0].milliseconds;
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end()));
    this.ipc.remove();
  }
}

/** The hash of the mean gradient, added in this process. */
async function expectedHash({ workers, elements }: BenchAllReduceOptions): Promise<string> {
  const tree = new ReductionTree(workers);
  const leaves = [...Array(workers).keys()];
  const names = Array.from({ length: Accumulator.bufferCount(tree, leaves) }, (_, i) => `buffer${i}`);
  const arena = Arena.create(Object.fromEntries(names.map((name) => [name, elements])));
  const kernels = await loadKernels(arena);
  const buffers = names.map((name) => arena.region(name));
  const accumulator = new Accumulator({ tree, leaves, kernels, buffers });
  for (const rank of leaves) {
    fillBenchGradient(accumulator.leafBuffer().view, rank);
    accumulator.complete();
  }
  const hash = new Uint32Array(4);
  for (const { region } of accumulator.partials) {
    kernels.divide(region.byteOffset, region.byteOffset, elements, workers);
    hashPart(kernels, { byteOffset: region.byteOffset, length: elements, firstBlock: 0 }, hash);
  }
  return hashHex(hash);
}

function checkHash(gradHash: string, { rank, expected }: { rank: number; expected: string }): void {
  if (gradHash === expected) return;
  throw new LockstepError(
    "E_DIVERGED",
    `Cannot trust the measurement as the result of process ${rank} hashes to ${gradHash}, not ${expected}`,
  );
}

function figures(milliseconds: number[], { workers, elements }: BenchAllReduceOptions): AllReduceFigures {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  const mean = sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length;
  const algbw = 4 * elements / (mean * 1e6);
  return {
    busbw_gb_s: algbw * 2 * (workers - 1) / workers,
    algbw_gb_s: algbw,
    p50_ms: quantile(0.5),
    p99_ms: quantile(0.99),
  };
}

/** A process that runs bench_member.ts. */
class MemberProcess {
  readonly #child;
  readonly #answers: AsyncIterator<string>;
  readonly #exited: Promise<void>;

  constructor(private readonly setup: BenchSetup) {
    const script = fileURLToPath(import.meta.resolve("../../worker/collective/bench_member.ts"));
    this.#child = spawn(Deno.execPath(), moduleArguments([script], { permissions: ["-A"] }), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin.write(`${JSON.stringify(setup)}\n`);
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#exited = new Promise((resolve) => this.#child.on("exit", () => resolve()));
  }

  /** The ports on which it waits for the others. */
  async ready(): Promise<number[]> {
    return benchReady.parse(await this.#answer()).ports;
  }

  connect(endpoints: string[]): void {
    this.#order({ connect: endpoints });
  }

  async reduce(count: number): Promise<BenchAnswer> {
    this.#order({ count });
    return benchAnswer.parse(await this.#answer());
  }

  #order(order: BenchOrder): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#answers.next();
    if (!done) return JSON.parse(value);
    throw new LockstepError(
      "E_WORKER_DIED",
      `Cannot measure the all-reduce as process ${this.setup.rank} died`,
    );
  }

  /** Lets the process end, and waits for that. */
  end(): Promise<void> {
    this.#child.stdin.end();
    return this.#exited;
  }
}
