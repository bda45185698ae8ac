import { join } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../shared/files.ts";
import type { Span } from "../../shared/spans.ts";
import type { RunActivity, RunObserver } from "../coordinator.ts";
import type { StepTrace } from "../step_trace.ts";
import { activityNames } from "./activity_names.ts";
import { chromeTrace } from "./chrome_trace.ts";
import { clockOffset } from "./clock_offset.ts";

export interface RunProfileOptions {
  readonly runDir: string;
  /** FROM:TO, as `--profile` has it. */
  readonly steps: string;
  now(): number;
  warn(sentence: string): void;
}

/** Collects what the coordinator and the members did in some steps, and writes it to `profile-FROM-TO.json` in the run's folder. */
export class RunProfile {
  readonly #traces: StepTrace[] = [];
  readonly #between: Span[] = [];
  #doing: { readonly activity: RunActivity; readonly at: number } | null = null;
  #writing: Promise<void> | null = null;

  constructor(private readonly options: RunProfileOptions) {}

  /** An observer that collects what it is told, and tells `observer`. */
  observing(observer: RunObserver): RunObserver {
    const to = Number(this.options.steps.split(":")[1]);
    return {
      ...observer,
      begins: (activity) => {
        this.#begins(activity);
        observer.begins?.(activity);
      },
      step: (line) => {
        if (line.step >= to) this.write();
        observer.step?.(line);
      },
      traced: (trace) => {
        if (this.#writing === null) this.#traces.push(trace);
        observer.traced?.(trace);
      },
    };
  }

  /** Writes what there is, once. Where that is not possible the run goes on. */
  write(): Promise<void> {
    return this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    if (this.#traces.length === 0) return;
    const { runDir, steps, warn } = this.options;
    try {
      await writeFileAtomic(join(runDir, `profile-${steps.replace(":", "-")}.json`), this.#text());
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      warn(`${error.code}: ${error.message}; the profile is lost`);
    }
  }

  #begins(activity: RunActivity): void {
    const now = this.options.now();
    const before = this.#doing;
    this.#doing = { activity, at: now };
    const name = before === null || this.#traces.length === 0 ? null : activityNames[before.activity];
    if (before !== null && name !== null) this.#between.push(span(name, { from: before.at, to: now }));
  }

  #text(): string {
    const ids = [...new Set(this.#traces.flatMap(({ members }) => members.map(({ id }) => id)))].sort();
    const coordinator = [...this.#traces.flatMap(spansOfStep), ...this.#between];
    const members = ids.map((id) => ({ name: id, spans: spansOf(id, this.#traces) }));
    return chromeTrace([{ name: "coordinator", spans: coordinator }, ...members], {
      program: "lockstep",
      steps: this.options.steps,
    });
  }
}

function spansOfStep({ step, beganAt, preparedAt, decidedAt, endedAt }: StepTrace): Span[] {
  return [
    span(`step ${step}`, { from: beganAt, to: endedAt }),
    span("wait for gradients", { from: beganAt, to: preparedAt }),
    span("ledger and decision", { from: preparedAt, to: decidedAt }),
    span("wait for updates", { from: decidedAt, to: endedAt }),
  ];
}

function span(name: string, { from, to }: { from: number; to: number }): Span {
  return ["protocol", name, performance.timeOrigin + from, Math.max(0, to - from)];
}

/** On the coordinator's clock: what a member did after COMMIT lies between the decision and the news of it. */
function spansOf(id: string, traces: readonly StepTrace[]): Span[] {
  const own = traces.flatMap(({ decidedAt, members }) =>
    members.filter((member) => member.id === id).map((member) => ({ decidedAt, ...member }))
  );
  const ranges = own.flatMap(({ decidedAt, appliedAt, spans }) =>
    spans.filter(([, name]) => name === "apply").map(([, , at, ms]) => ({
      least: performance.timeOrigin + decidedAt - at,
      most: performance.timeOrigin + appliedAt - at - ms,
    }))
  );
  const offset = clockOffset(ranges);
  return own.flatMap(({ spans }) => spans.map(([lane, name, at, ms]): Span => [lane, name, at + offset, ms]));
}
