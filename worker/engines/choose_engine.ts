import { commandLine } from "../../shared/command_line.ts";
import { LockstepError } from "../../shared/errors.ts";
import { describeAdapter } from "./adapter.ts";
import {
  type Asked,
  type Candidate,
  candidatesOf,
  decideEngine,
  type EngineChoice,
  isTaken,
  type Trial,
  type Tried,
} from "./decide_engine.ts";
import { isEnginePath } from "./open_engine.ts";
import { fetchEngine } from "./fetch_engine.ts";
import { type Machine, readMachine } from "./machine.ts";
import { probeAdapter, probeCompute } from "./probe.ts";
import { probeKey, ProbeMemory } from "./probe_memory.ts";

/** What a choice rests on; tests put others in its place. */
export interface ChooseOptions {
  readonly machine?: Machine;
  readonly memory?: ProbeMemory;
  readonly probes?: Probes;
}

/** What tries out a GPU. */
export interface Probes {
  adapter(): ReturnType<typeof probeAdapter>;
  /** With `offline` only a package that is in Deno's cache counts. */
  compute(candidate: Candidate, options: { offline: boolean }): Promise<Trial>;
}

/** An engine that was chosen for this machine. */
export interface ChosenEngine extends EngineChoice {
  /** NVIDIA GPUs that it may use, as CUDA_VISIBLE_DEVICES names them; empty where it computes elsewhere. */
  readonly gpus: readonly string[];
}

/**
 * The engine for a configuration: the one that is named, or the first of cuda, webgpu and cpu that computes something small as
 * it should. GPUs are tried in processes of their own, and only where there is one; results are remembered. Throws E_ENGINE
 * where nothing can be taken.
 */
export async function chooseEngine(asked: Asked, options: ChooseOptions = {}): Promise<ChosenEngine> {
  const tried: Tried[] = [];
  const candidates = candidatesOf(asked);
  const machine = options.machine ?? await readMachine();
  const { memory = new ProbeMemory(), probes = REAL } = options;
  for (const candidate of candidates) {
    const trial = await tryOut(candidate, { asked, machine, memory, probes });
    tried.push({ ...candidate, trial });
    if (isTaken(asked, trial)) break;
  }
  const choice = decideEngine(asked, tried);
  return { ...choice, gpus: choice.device === "cuda" ? machine.nvidiaGpus : [] };
}

/** Whether native libraries (ONNX Runtime, libzmq) may be loaded. */
export function isNativeCodeAllowed(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

const REAL: Probes = { adapter: probeAdapter, compute: fetchAndCompute };

const WORKS: Trial = { works: true, hardware: null, software: null };

interface Context {
  readonly asked: Asked;
  readonly machine: Machine;
  readonly memory: ProbeMemory;
  readonly probes: Probes;
}

async function tryOut(candidate: Candidate, context: Context): Promise<Trial> {
  const { device, engine } = candidate;
  if (device === "cuda") return await tryCuda(candidate, context);
  if (device === "webgpu" && engine === "webgpu") return await tryWebGpu(candidate, context);
  if (engine === "onnx" && context.asked.engine === "auto" && !isNativeCodeAllowed()) {
    return { works: false, why: "--allow-ffi is denied and onnx needs it" };
  }
  return WORKS; // one that is named says by itself what it lacks
}

async function tryCuda(candidate: Candidate, context: Context): Promise<Trial> {
  const { asked, machine } = context;
  if (machine.noNvidia !== null) return { works: false, why: machine.noNvidia };
  if (isEnginePath(candidate.engine)) return WORKS;
  // Nobody who names neither engine nor device has asked for a download.
  const offline = asked.engine === "auto" && asked.device === "auto";
  return await tryCompute(candidate, { ...context, offline, adapter: null });
}

async function tryWebGpu(candidate: Candidate, context: Context): Promise<Trial> {
  const { asked, machine, probes } = context;
  const isNamed = asked.engine !== "auto" || asked.device !== "auto";
  if (!isNamed && machine.noGpu !== null) return { works: false, why: machine.noGpu };
  const found = await probes.adapter();
  if ("failure" in found) return { works: false, why: found.failure };
  if (found.answer === null) {
    return { works: false, why: "no adapter answers; a driver for Vulkan, Metal or D3D12 is required" };
  }
  const { name, software } = found.answer;
  const hardware = describeAdapter(found.answer);
  if (isNamed || software) return { works: true, hardware, software: software ? name : null };
  const trial = await tryCompute(candidate, { ...context, offline: false, adapter: hardware });
  return trial.works ? { works: true, hardware, software: null } : trial;
}

/** Has it compute something small, unless it is known what comes of that. */
async function tryCompute(
  candidate: Candidate,
  { asked, machine, memory, probes, offline, adapter }: Context & {
    offline: boolean;
    adapter: string | null;
  },
): Promise<Trial> {
  const key = await probeKey(candidate, { machine, adapter });
  const known = await memory.recall(key);
  // Who names it wants to know what is wrong now.
  const isNamed = asked.engine !== "auto" || asked.device !== "auto";
  if (known !== undefined && (known.works || !isNamed)) return known;
  const trial = await probes.compute(candidate, { offline });
  await memory.remember(key, trial);
  return trial;
}

async function fetchAndCompute(
  candidate: Candidate,
  { offline }: { offline: boolean },
): Promise<Trial> {
  let runOptions: string[];
  try {
    runOptions = await fetchEngine(candidate.engine, { offline });
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    const why = offline
      ? `its package is not there: ${commandLine(`setup-${candidate.engine} --cuda`)}`
      : error.message;
    return { works: false, why };
  }
  return await probeCompute(candidate, { runOptions });
}
