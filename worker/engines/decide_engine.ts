import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { Device } from "./engine.ts";

/** What a configuration asks for. */
export interface Asked extends Pick<RunConfig, "engine" | "device"> {
  /** Why, in a few words; left out, the options say it. */
  readonly because?: string;
}

/** An engine and where it would compute. */
export interface Candidate {
  readonly engine: string;
  readonly device: Device;
}

/** What came of trying one. */
export type Trial =
  | {
    readonly works: true;
    /** What it computes on, in words; null where there is nothing to say. */
    readonly hardware: string | null;
    /** The name of what is a GPU in name only; null for a real one and for a CPU. */
    readonly software: string | null;
  }
  | {
    readonly works: false;
    /** A few words. */
    readonly why: string;
  };

/** A candidate that was tried. */
export interface Tried extends Candidate {
  readonly trial: Trial;
}

/** Which engine a run uses, where, and why in a few words. */
export interface EngineChoice {
  readonly name: string;
  readonly device: Device;
  readonly reason: string;
  /** What it computes on, in words; null where there is nothing to say. */
  readonly hardware: string | null;
}

/** Where each engine computes, in the order in which it is tried there. */
const PLACES: Readonly<Record<string, readonly Device[]>> = {
  onnx: ["cpu"],
  tensorflow: ["cuda", "cpu"],
  webgpu: ["webgpu"],
  xla: ["cuda", "cpu"],
  reference: ["cpu"],
};

/** What `auto` tries for each device, the fastest first. */
const ENGINES: Readonly<Record<Device, readonly string[]>> = {
  cuda: ["xla", "tensorflow"],
  webgpu: ["webgpu"],
  cpu: ["onnx", "reference"],
};

const DEVICES: readonly Device[] = ["cuda", "webgpu", "cpu"];

/** What is asked for anew stands above what was asked before: one of the two alone leaves the other open. */
export function overrideEngine(before: Asked, { engine, device }: Partial<Asked>): Asked {
  if (engine === undefined && device === undefined) return { engine: before.engine, device: before.device };
  return { engine: engine ?? "auto", device: device ?? "auto" };
}

/** The engine and device of a configuration in which they are chosen: what a coordinator sends its workers. */
export function chosenEngine({ engine, device }: Asked): Candidate {
  if (engine !== "auto" && device !== "auto") return { engine, device };
  throw new Error(`Cannot compute before an engine is chosen: engine is ${engine}, device is ${device}`);
}

/** What can be taken, in the order in which it is tried. Throws E_ENGINE for an engine that never computes there. */
export function candidatesOf({ engine, device }: Asked): Candidate[] {
  if (engine === "auto") {
    const devices = device === "auto" ? DEVICES : [device];
    return devices.flatMap((device) => ENGINES[device].map((engine) => ({ engine, device })));
  }
  if (!Object.hasOwn(PLACES, engine)) return [{ engine, device: device === "auto" ? "cpu" : device }];
  const places = PLACES[engine];
  if (device === "auto") return places.map((device) => ({ engine, device }));
  if (places.includes(device)) return [{ engine, device }];
  throw new LockstepError(
    "E_ENGINE",
    `Cannot compute on ${device} with the engine ${engine}: it computes on ${places.join(" or ")}`,
  );
}

/** Whether a trial ends the search: what is not named is taken only if it is what its name says. */
export function isTaken({ engine, device }: Asked, trial: Trial): boolean {
  return trial.works && !(trial.software !== null && engine === "auto" && device === "auto");
}

/** The first candidate that can be taken, and why not those before it. Throws E_ENGINE where there is none. */
export function decideEngine(asked: Asked, tried: readonly Tried[]): EngineChoice {
  const found = tried.findIndex(({ trial }) => isTaken(asked, trial));
  const passed = describePassed(found < 0 ? tried : tried.slice(0, found));
  const taken = tried.at(found);
  if (found < 0 || !taken?.trial.works) throw refuse(asked, passed);
  const { engine: name, device, trial: { hardware } } = taken;
  const onnx = tried.find(({ engine }) => engine === "onnx");
  if (asked.engine === "auto" && name === "reference" && onnx?.trial.works === false) {
    const reason = `plain JavaScript and many times slower, because ${onnx.trial.why}`;
    return { name, device, reason, hardware };
  }
  const given = asked.because ?? [
    ...(asked.engine === "auto" ? [] : [`--engine=${asked.engine}`]),
    ...(asked.device === "auto" ? [] : [`--device=${asked.device}`]),
  ].join(" ");
  const reason = [given, passed].filter((words) => words !== "").join("; ");
  return { name, device, reason, hardware };
}

/** `cuda: no NVIDIA GPU; webgpu: llvmpipe is software`; engines of a device that differ are named. */
function describePassed(tried: readonly Tried[]): string {
  return DEVICES.flatMap((device) => {
    const there = tried.filter((one) => one.device === device);
    if (there.length === 0) return [];
    const whys = there.map(({ trial }) => trial.works ? `${trial.software} is software` : trial.why);
    const same = whys.every((why) => why === whys[0]);
    return [
      `${device}: ${same ? whys[0] : whys.map((why, i) => `${there[i].engine}: ${why}`).join(", ")}`,
    ];
  }).join("; ");
}

function refuse({ engine, device }: Asked, passed: string): LockstepError {
  const what = engine === "auto" ? "" : ` with the engine ${engine}`;
  const where = device === "auto" ? "" : ` on ${device}`;
  return new LockstepError(
    "E_ENGINE",
    `Cannot compute${where}${what} (${passed}): ${
      engine === "auto" ? "use --device=cpu" : "use another --engine"
    }, or put right what is missing`,
  );
}
