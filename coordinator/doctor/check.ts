import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";

/** How a check came out: a failure would end the run or keep it from starting, a warning would not. */
export type Status = "ok" | "warning" | "failure";

/** What a check has found. */
export interface Finding {
  readonly status: Status;
  /** What was seen, in a few words with figures. */
  readonly detail: string;
  /** What to do about it; null where all is well. */
  readonly fix: string | null;
}

/** One thing that is looked at before a run. */
export interface Check {
  readonly name: string;
  /** Looks. A `LockstepError` that it rejects with is a failure. */
  run(context: DoctorContext): Promise<Finding>;
}

/** A finding and the check that it is of. */
export interface CheckResult extends Finding {
  readonly name: string;
}

/** What checks are about: a configuration, and what a run of it would be. */
export interface DoctorContext {
  readonly config: RunConfig;
  readonly plan: RunPlan;
}

/**
 * What a run of the configuration would be. Each is found out once, whoever asks first, and rejects with the
 * `LockstepError` that would end the run.
 */
export interface RunPlan {
  engine(): Promise<PlannedEngine>;
  workers(): Promise<PlannedWorkers>;
  needs(): Promise<RunNeeds>;
}

/** What a run would compute with. */
export interface PlannedEngine {
  readonly name: string;
  readonly device: "cpu" | "cuda" | "webgpu";
  /** Why, in a few words. */
  readonly reason: string;
  /** What it computes on, in words; null where there is nothing to say. */
  readonly hardware: string | null;
}

/** The workers of this machine. */
export interface PlannedWorkers {
  readonly count: number;
  /** Whether they are processes that talk over sockets. */
  readonly sockets: boolean;
  readonly reason: string;
}

/** What a run takes of this machine. */
export interface RunNeeds {
  /** Numbers of the model. */
  readonly parameters: number;
  /** Of one worker's largest arena, in bytes. */
  readonly arenaBytes: number;
  /** Of one worker in all, about, in bytes. */
  readonly workerBytes: number;
  /** Of one checkpoint, in bytes. */
  readonly checkpointBytes: number;
}

/** All is well. */
export function ok(detail: string): Finding {
  return { status: "ok", detail, fix: null };
}

/** A run can do, and would be better off otherwise. */
export function warning(detail: string, fix: string): Finding {
  return { status: "warning", detail, fix };
}

/** A run would end. */
export function failure(detail: string, fix: string): Finding {
  return { status: "failure", detail, fix };
}

/** What to do about an error that says it itself. */
const SAID = "do what the sentence says";

/** Runs one check. Never rejects: a check that cannot be made is a failure, with the reason. */
export async function runCheck({ name, run }: Check, context: DoctorContext): Promise<CheckResult> {
  try {
    return { name, ...await run(context) };
  } catch (error) {
    if (error instanceof LockstepError) return { name, ...failure(`${error.code}: ${error.message}`, SAID) };
    const said = error instanceof Error ? error.message : String(error);
    return { name, ...failure(`could not be looked at: ${said}`, "run again with --verbose, and report it") };
  }
}

/** Bytes as people read them: `1.5 GiB`. */
export function describeBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
