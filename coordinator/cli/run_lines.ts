import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import {
  type EvalLine,
  type LineWriter,
  type MetricsLine,
  openEvals,
  openMetrics,
  openSamples,
  type SampleLine,
} from "../../shared/metrics.ts";
import type { RunDir } from "../../shared/run_dir.ts";
import type { RunObserver } from "../coordinator.ts";
import { figuresOf } from "../evaluate_task.ts";

export interface RunLinesOptions {
  readonly config: Pick<RunConfig, "log_interval" | "max_iters">;
  warn(sentence: string): void;
}

/** metrics.jsonl, eval.jsonl and samples.jsonl of a run. Training does not stop for a line that finds no place. */
export class RunLines implements Disposable {
  #metrics: LineWriter<MetricsLine> | undefined;
  #evals: LineWriter<EvalLine> | undefined;
  #samples: LineWriter<SampleLine> | undefined;
  #hasWarned = false;
  #logInterval: number;

  constructor(private readonly dir: RunDir, private readonly options: RunLinesOptions) {
    this.#logInterval = options.config.log_interval;
  }

  /** Opens the files for a run that goes on at a step; lines from there on are of steps that are made again. */
  async open(step: number): Promise<void> {
    this[Symbol.dispose]();
    this.#metrics = await openMetrics(this.dir.metrics, { resumeAt: step });
    this.#evals = await openEvals(this.dir.evals, { resumeAt: step });
    this.#samples = await openSamples(this.dir.samples, { resumeAt: step });
  }

  /** An observer that writes what it is told, and tells `observer`. */
  noting(observer: RunObserver): RunObserver {
    const { max_iters } = this.options.config;
    return {
      ...observer,
      logInterval: (steps) => {
        this.#logInterval = steps;
        observer.logInterval?.(steps);
      },
      step: (line) => {
        const isLogged = line.step % this.#logInterval === 0 || line.step === max_iters - 1;
        if (isLogged) this.#append(this.#metrics, line);
        observer.step?.(line);
      },
      estimate: (estimate) => {
        const { step, train, val } = estimate;
        this.#append(this.#evals, { step, task: "estimate", metrics: { train_loss: train, val_loss: val } });
        observer.estimate?.(estimate);
      },
      sampled: (samples) => {
        for (const sample of samples) this.#append(this.#samples, sample);
        observer.sampled?.(samples);
      },
      evaluated: (result) => {
        const metrics = figuresOf(result.task.metrics);
        this.#append(this.#evals, { step: result.step, task: result.task.name, metrics });
        observer.evaluated?.(result);
      },
      wentBack: async (step) => {
        await this.open(step);
        await observer.wentBack?.(step);
      },
    };
  }

  #append<T>(writer: LineWriter<T> | undefined, line: T): void {
    try {
      writer?.append(line);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      if (!this.#hasWarned) {
        this.options.warn(`${error.code}: ${error.message}; training goes on without such lines`);
      }
      this.#hasWarned = true;
    }
  }

  [Symbol.dispose](): void {
    this.#metrics?.[Symbol.dispose]();
    this.#evals?.[Symbol.dispose]();
    this.#samples?.[Symbol.dispose]();
    this.#metrics = this.#evals = this.#samples = undefined;
  }
}
