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
import { BoardLines } from "../observe/board_lines.ts";

export interface RunLinesOptions {
  readonly config: RunConfig;
  warn(sentence: string): void;
}

/** metrics.jsonl, eval.jsonl and samples.jsonl of a run, and the same for TensorBoard. Training does not stop for a line that finds no place. */
export class RunLines implements Disposable {
  #metrics: LineWriter<MetricsLine> | undefined;
  #evals: LineWriter<EvalLine> | undefined;
  #samples: LineWriter<SampleLine> | undefined;
  #board: BoardLines | undefined;
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
    if (this.options.config.tensorboard) await this.#openBoard();
  }

  /** The run is over. */
  ended(how: "finished" | "stopped"): void {
    this.#try(() => this.#board?.ended(how));
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
        if (isLogged) this.#noteStep(line);
        observer.step?.(line);
      },
      estimate: (estimate) => {
        const { step, train, val, asked } = estimate;
        const metrics = { train_loss: train, val_loss: val };
        this.#noteEvaluation({ step, task: "estimate", ...(asked ? { asked } : {}), metrics });
        observer.estimate?.(estimate);
      },
      sampled: (samples) => {
        for (const sample of samples) this.#try(() => this.#samples?.append(sample));
        const texts = samples.map(({ prompt, text }) => `${prompt}${text}`);
        this.#try(() => this.#board?.texts("samples", texts, samples[0].step));
        observer.sampled?.(samples);
      },
      evaluated: (result) => {
        const { step, task: { name, metrics, shown } } = result;
        this.#noteEvaluation({ step, task: name, metrics: figuresOf(metrics) });
        this.#try(() => this.#board?.texts(`${name}/shown`, shown, step));
        observer.evaluated?.(result);
      },
      wentBack: async (step) => {
        await this.open(step);
        await observer.wentBack?.(step);
      },
    };
  }

  #noteStep({ step, ...others }: MetricsLine): void {
    const line = { step, time: Date.now() / 1000, ...others };
    this.#try(() => this.#metrics?.append(line));
    this.#try(() => this.#board?.metrics(line));
  }

  #noteEvaluation({ step, ...others }: EvalLine): void {
    const line = { step, time: Date.now() / 1000, ...others };
    this.#try(() => this.#evals?.append(line));
    this.#try(() => this.#board?.evaluation(line));
  }

  async #openBoard(): Promise<void> {
    try {
      this.#board = await BoardLines.open(this.dir, this.options.config);
    } catch (error) {
      this.#missed(error);
    }
  }

  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#missed(error);
    }
  }

  #missed(error: unknown): void {
    if (!(error instanceof LockstepError)) throw error;
    if (!this.#hasWarned) {
      this.options.warn(`${error.code}: ${error.message}; training goes on without such lines`);
    }
    this.#hasWarned = true;
  }

  [Symbol.dispose](): void {
    this.#metrics?.[Symbol.dispose]();
    this.#evals?.[Symbol.dispose]();
    this.#samples?.[Symbol.dispose]();
    this.#board?.[Symbol.dispose]();
    this.#metrics =
      this.#evals =
      this.#samples =
      this.#board =
        undefined;
  }
}
