import { fileURLToPath } from "node:url";
import { z } from "zod";
import { moduleArguments } from "../../shared/own_process.ts";
import { type Adapter, adapterSchema } from "./adapter.ts";
import type { Candidate, Trial } from "./decide_engine.ts";

/** Loading CUDA's libraries and compiling the first kernels takes some seconds. */
const COMPUTE_MS = 30_000;
/** Plain JavaScript takes its time. */
const SPEED_MS = 60_000;
const ADAPTER_MS = 10_000;

/** What a probing process may do: what workers may. */
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];

const COMPUTE = fileURLToPath(new URL("./compute_probe.ts", import.meta.url));
const SPEED = fileURLToPath(new URL("./speed_probe.ts", import.meta.url));
const ADAPTER = fileURLToPath(new URL("./adapter_probe.ts", import.meta.url));

const computedSchema = z.discriminatedUnion("works", [
  z.strictObject({ works: z.literal(true) }),
  z.strictObject({ works: z.literal(false), why: z.string() }),
]);

/** The speed of an engine in a small training step, or in a few words why there is none. */
export type Speed =
  | { readonly works: true; readonly gflops: number }
  | { readonly works: false; readonly why: string };

const speedSchema: z.ZodType<Speed> = z.discriminatedUnion("works", [
  z.strictObject({ works: z.literal(true), gflops: z.number().positive() }),
  z.strictObject({ works: z.literal(false), why: z.string() }),
]);

/** An answer, or in a few words why none came. */
export type Asked<T> = { readonly answer: T } | { readonly failure: string };

export interface AskOptions<T> {
  /** The module that answers, and its words. */
  readonly module: string;
  readonly words: readonly string[];
  /** Of the line of JSON that it prints; others, such as a native library's, are passed over. */
  readonly schema: z.ZodType<T>;
  readonly timeoutMs: number;
  /** Further options of `deno run`: which lock file. */
  readonly runOptions?: readonly string[];
}

/**
 * Has an engine compute something small in a process of its own, which a native library may crash or hang. The engine's
 * package is fetched by then; `runOptions` are those of fetchEngine.
 */
export async function probeCompute(
  { engine, device }: Candidate,
  { runOptions }: { runOptions: readonly string[] },
): Promise<Trial> {
  const asked = await ask({
    module: COMPUTE,
    words: [engine, device],
    schema: computedSchema,
    timeoutMs: COMPUTE_MS,
    runOptions,
  });
  if ("failure" in asked) return { works: false, why: asked.failure };
  return asked.answer.works ? { works: true, hardware: null, software: null } : asked.answer;
}

/** As {@link probeCompute}, and measures steps of a small model on one thread. */
export async function probeSpeed(
  { engine, device }: Candidate,
  { runOptions }: { runOptions: readonly string[] },
): Promise<Speed> {
  const asked = await ask({
    module: SPEED,
    words: [engine, device],
    schema: speedSchema,
    timeoutMs: SPEED_MS,
    runOptions,
  });
  return "failure" in asked ? { works: false, why: asked.failure } : asked.answer;
}

/** The WebGPU adapter of this machine, or null where none answers; asked in a process of its own, as drivers may crash. */
export function probeAdapter(): Promise<Asked<Adapter | null>> {
  const schema = adapterSchema.nullable();
  return ask({ module: ADAPTER, words: [], schema, timeoutMs: ADAPTER_MS });
}

/** Runs a module to its end, or to the end of its time, and takes the last line of its output that fits. */
export async function ask<T>(
  { module, words, schema, timeoutMs, runOptions = [] }: AskOptions<T>,
): Promise<Asked<T>> {
  if (Deno.build.standalone) return { failure: "a compiled executable tries no other engine" };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(Deno.execPath(), {
      args: moduleArguments([module, ...words], { permissions: PERMISSIONS, runOptions }),
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      return { failure: "it cannot be tried as --allow-run is denied" };
    }
    throw error;
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (late) return { failure: `no answer within ${timeoutMs / 1000} s` };
  const text = (bytes: Uint8Array) =>
    new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "");
  const answer = text(stdout).toReversed().map((line) => schema.safeParse(parseJson(line))).find((
    { success },
  ) => success);
  if (answer?.success) return { answer: answer.data };
  const said = text(stderr).at(-1);
  const how = signal === null ? `status ${code}` : signal;
  return { failure: `the attempt ended with ${how}${said === undefined ? "" : ` (${said})`}` };
}

/** Undefined for a text that is no JSON, which no schema takes. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
