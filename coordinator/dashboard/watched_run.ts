import { basename, resolve } from "node:path";
import { readAlive } from "../../shared/alive_file.ts";
import { readSavedConfig } from "../../shared/saved_run.ts";
import { RunHistory } from "../run_history/run_history.ts";
import { isAttachable } from "../steering/attach_file.ts";

/** What may change about a run besides its lines. */
export interface RunState {
  /** Whether a process leads it now. */
  readonly running: boolean;
  /** Whether it takes commands. */
  readonly steerable: boolean;
  /** Steps of the checkpoints that are there, and of the best. */
  readonly checkpoints: readonly number[];
  readonly best: number | null;
}

/** What tells runs apart. */
export interface RunSummary extends RunState {
  readonly name: string;
  readonly path: string;
  /** The newest logged step; −1 before the first. */
  readonly step: number;
  /** Null where the configuration cannot be read. */
  readonly maxSteps: number | null;
}

/** A run as the page shows it. */
export class WatchedRun {
  readonly history: RunHistory;
  readonly name: string;

  constructor(readonly path: string) {
    this.history = new RunHistory(path);
    this.name = basename(resolve(path));
  }

  async state(): Promise<RunState> {
    const { steps, best } = await this.history.checkpoints();
    const running = readAlive(`${this.path}/alive`).alive;
    return { running, steerable: running && await isAttachable(this.path), checkpoints: steps, best };
  }

  /** One of the runs that can be chosen. */
  async summary(): Promise<RunSummary> {
    const config = await readSavedConfig(this.path).catch(() => null);
    return {
      name: this.name,
      path: this.path,
      step: this.history.step,
      maxSteps: config?.max_iters ?? null,
      ...await this.state(),
    };
  }

  /** All that is not a curve. */
  async details(): Promise<Record<string, unknown>> {
    const { results, samples, workers, log, membership } = this.history;
    const config = await Deno.readTextFile(this.history.dir.config).catch(() => "");
    return { ...await this.summary(), config, results, samples, workers, log, membership };
  }
}
