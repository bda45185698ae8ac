import { join } from "node:path";
import { LockstepError } from "./errors.ts";

const OWN_ACTIONS = ["kill", "stop", "busy", "pace"] as const;
const FRAME_ACTIONS = ["flip", "cut", "grow", "old", "foreign"] as const;
const ACTIONS = [...OWN_ACTIONS, ...FRAME_ACTIONS];

/** What is done to a frame that is sent: other bytes, fewer, too many; or one of another generation or run before it. */
export type FrameAction = typeof FRAME_ACTIONS[number];

/** A fault that is to happen at an exact point of a process's life. */
export interface Fault {
  /** A worker's name or "coordinator"; "*" is everybody. */
  readonly who: string;
  readonly point: string;
  /** Null for whichever comes first; for "pace", for every one. */
  readonly step: number | null;
  /** What the process does to itself, or to a frame that it sends. */
  readonly action: typeof OWN_ACTIONS[number] | FrameAction;
  /** For how long; for "kill" and "stop", after how long. */
  readonly ms: number;
}

/** Names of the environment variables that set faults. */
export const FAULT_VARIABLES = { faults: "LOCKSTEP_FAULT", folder: "LOCKSTEP_FAULT_DIR" } as const;

/** In the folder of the faults: while a file of this name is there, "pace" slows steps down. */
export const PACE_FILE = "pace";

/** Parses `worker-1:prepared:12:kill,*:compute:*:pace:50`: WHO:POINT:STEP:ACTION[:MS]. Throws E_USAGE. */
export function parseFaults(text: string): Fault[] {
  return text.split(",").map((part) => {
    const [who, point, step, action, ms = "0", ...more] = part.trim().split(":");
    const known = ACTIONS.find((name) => name === action);
    const isWhole = who !== "" && /^[a-z]+$/.test(point ?? "") && /^(\*|\d{1,9})$/.test(step ?? "") &&
      /^\d{1,7}$/.test(ms) && more.length === 0;
    if (known === undefined || !isWhole) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot plan the fault ${part} as it must be WHO:POINT:STEP:ACTION[:MS], such as worker-1:prepared:12:kill: known actions are ${
          ACTIONS.join(", ")
        }`,
      );
    }
    return { who, point, step: step === "*" ? null : Number(step), action: known, ms: Number(ms) };
  });
}

/** The faults that wait for one process. Each but "pace" happens once, however often the process is started again. */
export class Faults {
  readonly #faults: readonly Fault[];
  /** Whether frames of anybody are to be altered: then all must travel, and none stay in shared memory. */
  readonly altersFrames: boolean;

  constructor(readonly who: string, faults: readonly Fault[], readonly folder: string) {
    this.#faults = faults.filter((fault) => fault.who === "*" || fault.who === who);
    this.altersFrames = faults.some((fault) => frameAction(fault) !== undefined);
  }

  /** Does to this process what is due at `point`. */
  reach(point: string, step: number): void {
    for (const fault of this.#planned(point, step)) {
      if (frameAction(fault) === undefined && this.#isFirst(fault)) this.#act(fault);
    }
  }

  /** Claims what is due to be done to a frame at `point`; null for nothing. */
  claim(point: string, step: number): FrameAction | null {
    const fault = this.#planned(point, step).find((fault) =>
      frameAction(fault) !== undefined && this.#isFirst(fault)
    );
    return fault === undefined ? null : frameAction(fault) ?? null;
  }

  /** Whether anything is planned for `point`. */
  plans(point: string, step: number): boolean {
    return this.#planned(point, step).length > 0;
  }

  #planned(point: string, step: number): Fault[] {
    return this.#faults.filter((fault) =>
      fault.point === point && (fault.step === null || fault.step === step)
    );
  }

  /** Leaves a file, so that a fault happens once, and whoever planned it knows when. */
  #isFirst(fault: Fault): boolean {
    if (fault.action === "pace") return true;
    try {
      Deno.writeTextFileSync(
        join(this.folder, markOf(fault, this.who)),
        String(Date.now() + delayOf(fault)),
        {
          createNew: true,
        },
      );
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    }
  }

  #act({ action, ms }: Fault): void {
    if (action === "kill") return later(ms, () => Deno.kill(Deno.pid, "SIGKILL"));
    if (action === "stop") return later(ms, () => Deno.kill(Deno.pid, "SIGSTOP"));
    if (action === "pace" && exists(join(this.folder, PACE_FILE))) return sleep(ms);
    if (action === "busy") return spin(ms);
  }
}

function frameAction({ action }: Fault): FrameAction | undefined {
  return FRAME_ACTIONS.find((name) => name === action);
}

/** The name of the file that tells, in ms since 1970, when a fault has happened to `who`. */
export function markOf({ point, step, action }: Fault, who: string): string {
  return [who, point, step ?? "any", action].join("-");
}

/** The faults that the environment plans for a process; undefined, as nearly always, for none. Throws E_USAGE. */
export function faultsOf(who: string): Faults | undefined {
  const [text, folder] = [FAULT_VARIABLES.faults, FAULT_VARIABLES.folder].map(readVariable);
  return text === undefined || folder === undefined ? undefined : new Faults(who, parseFaults(text), folder);
}

function readVariable(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

function delayOf({ action, ms }: Fault): number {
  return action === "kill" || action === "stop" ? ms : 0;
}

function later(ms: number, act: () => void): void {
  if (ms === 0) act();
  else setTimeout(act, ms);
}

function spin(ms: number): void {
  const end = Date.now() + ms;
  while (Date.now() < end) continue;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
