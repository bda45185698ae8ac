import { numericsOf } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { toToml } from "../../shared/config/toml.ts";
import { type EvalLine, type MetricsLine, readEvals, readMetrics } from "../../shared/metrics.ts";
import type { RunDir } from "../../shared/run_dir.ts";
import { EventFile, type HParam } from "./event_file.ts";

/** What a run writes into its .jsonl files, for TensorBoard: the same lines under the same names. */
export class BoardLines implements Disposable {
  private constructor(private readonly file: EventFile) {}

  /** Begins with all that the run's files have: they are the source, also of a run that goes on. Throws E_NO_SPACE, E_OUT_DIR. */
  static async open(dir: RunDir, config: RunConfig): Promise<BoardLines> {
    const file = EventFile.create(dir.path);
    const lines = new BoardLines(file);
    file.hparams(hparamsOf(config));
    file.texts("config", [toToml(config)], { step: 0, time: Date.now() / 1000 });
    for await (const line of readMetrics(dir.metrics)) lines.metrics(line);
    for await (const line of readEvals(dir.evals)) lines.evaluation(line);
    return lines;
  }

  metrics({ step, time, loss, ...others }: MetricsLine): void {
    this.#scalars({ "train/loss": loss, ...others }, { step, time });
  }

  evaluation({ step, time, task, metrics }: EvalLine): void {
    const named = Object.entries(metrics).map(([name, value]) => [evalTag(task, name), value]);
    this.#scalars(Object.fromEntries(named), { step, time });
  }

  texts(tag: string, texts: readonly string[], step: number): void {
    if (texts.length > 0) this.file.texts(tag, texts, { step, time: Date.now() / 1000 });
  }

  ended(how: "finished" | "stopped"): void {
    this.file.ended(how);
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }

  #scalars(
    values: Readonly<Record<string, unknown>>,
    { step, time }: Pick<MetricsLine, "step" | "time">,
  ): void {
    const known = Object.entries(values).flatMap(([tag, value]): [string, number][] =>
      typeof value === "number" ? [[tag, value]] : []
    );
    this.file.scalars(known, { step, time: time ?? 0 });
  }
}

/** The estimate's losses stand beside the training loss; a task's figures below its name. */
function evalTag(task: string, name: string): string {
  if (task !== "estimate") return `${task}/${name}`;
  return name === "val_loss" ? "val/loss" : "train/estimated_loss";
}

/** The keys that decide the weights, as far as they are set. */
function hparamsOf(config: RunConfig): Map<string, HParam> {
  const set = [...numericsOf(config)].filter(([, value]) => value !== null);
  return new Map(set.map(([name, value]) => [name, hparam(value)]));
}

function hparam(value: unknown): HParam {
  const isPlain = typeof value === "number" || typeof value === "boolean" || typeof value === "string";
  return isPlain ? value : JSON.stringify(value);
}
