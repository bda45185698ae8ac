import type { RunConfig } from "../../shared/config/run_config.ts";
import type { MetricsLine } from "../../shared/metrics.ts";
import type { Metric } from "../../shared/tasks/task.ts";
import type { TaskResult } from "../evaluate_task.ts";
import { describePreparation } from "./prepare_progress.ts";
import { openProgress } from "./progress.ts";
import type { RunPlan, TrainObserver } from "./train_observer.ts";

/** How a run is shown to a person: a bar on a terminal, nanoGPT's lines elsewhere, little with --quiet. */
export interface TrainConsole extends TrainObserver {
  /** Takes the bar away. */
  end(): void;
  /** The run's directory once it holds something to resume from. */
  resumable(): string | null;
}

/** Shows a run on standard output. */
export function trainConsole({ max_iters, log_interval, quiet }: RunConfig): TrainConsole {
  const bar = openProgress({ quiet, stream: "stdout" });
  const print = (line: string) => {
    if (!quiet) bar.above(() => console.log(line));
  };
  let logInterval = log_interval;
  const warn = (sentence: string) => bar.above(() => console.error(`warning ${sentence}`));
  let first = 0;
  let stepsMs = 0; // of all steps so far; estimates and checkpoints between them are not in it
  let runDir = "";
  let saved = false;
  let done = 0;
  return {
    plan(plan) {
      first = done = plan.step;
      runDir = plan.runDir;
      saved = plan.step > 0;
      print(describePlan(plan));
    },
    preparing(progress) {
      const { phase, doneBytes, totalBytes } = progress;
      bar.update(describePreparation(progress));
      if (phase !== "fetch" && doneBytes >= totalBytes) {
        const done = phase === "collect" ? "read" : "encoded";
        print(`${done} ${totalBytes.toLocaleString("en-US")} bytes of text`);
      }
    },
    warn,
    logInterval: (steps) => logInterval = steps,
    page: (url) => print(`page: ${url}`),
    ready({ size, flopsPerToken }) {
      print(`${size.toLocaleString("en-US")} parameters, ${(flopsPerToken / 1e6).toFixed(1)} MFLOP a token`);
    },
    step(line) {
      done = line.step + 1;
      stepsMs += line.dt_ms ?? 0;
      if (bar.isShown) {
        const left = (max_iters - done) * stepsMs / (done - first) / 1000;
        bar.update({ what: "iter", done, total: max_iters, note: describeSpeed(line, left) });
      } else if (line.step % logInterval === 0 || line.step === max_iters - 1) {
        print(describeStep(line));
      }
    },
    evaluating: ({ done, of }) => bar.update({ what: "evaluated", done, total: of }),
    estimate({ step, train, val }) {
      print(`step ${step}: train loss ${train.toFixed(4)}, val loss ${val.toFixed(4)}`);
    },
    checkpoint({ path }) {
      saved = true;
      print(`saved ${path}`);
    },
    stopsEarly({ waited, best }) {
      print(
        `stops early: of ${waited} estimates none had a val loss below ${
          best?.loss.toFixed(4)
        }, that of step ${best?.step}`,
      );
    },
    evaluated({ step }) {
      if (step !== done) print(`evaluated step ${step}, whose val loss is the lowest`);
    },
    held: (error) => warn(`${error.code}: ${error.message}; the step waits until there is room`),
    checkpointFailed: (error) => warn(`${error.code}: ${error.message}; training goes on`),
    end: () => bar[Symbol.dispose](),
    resumable: () => saved ? runDir : null,
  };
}

/** `device cpu, engine onnx, 2 workers × 1 thread (…); run in out/sort-demo`, and a line for a GPU. */
function describePlan(
  { engine, device, hardware, workers, threads, reason, runDir, step }: RunPlan,
): string {
  const count = `${workers} ${workers === 1 ? "worker" : "workers"} × ${threads} ${
    threads === 1 ? "thread" : "threads"
  }`;
  const from = step === 0 ? "" : ` from step ${step}`;
  const plan = `device ${device}, engine ${engine}, ${count} (${reason}); run in ${runDir}${from}`;
  return hardware === null ? plan : `${plan}\n${device}: ${hardware}`;
}

/** nanoGPT's log line; where no peak is known, its -100.00% for "not known". */
export function describeStep({ step, loss, dt_ms, mfu }: MetricsLine): string {
  const time = `${(dt_ms ?? NaN).toFixed(2)}ms`;
  return `iter ${step}: loss ${(loss ?? NaN).toFixed(4)}, time ${time}, mfu ${
    (100 * (mfu ?? -1)).toFixed(2)
  }%`;
}

function describeSpeed({ loss, tokens_per_sec }: MetricsLine, secondsLeft: number): string {
  const speed = `${Math.round(tokens_per_sec ?? 0)} tokens/s`;
  return `loss ${(loss ?? NaN).toFixed(4)}  ${speed}  ${duration(secondsLeft)} left`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, "0")}s`;
}

/** A task's figures as a table: metric, value, 95 % interval, chance, n. */
export function describeTask({ name, metrics, shown }: TaskResult): string {
  const rows = [["metric", "value", "95 % interval", "chance", "n"], ...metrics.map(describeMetric)];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const table = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
  );
  return [`${name}:`, ...table.map((line) => `  ${line}`), "", ...shown.map((item) => `${item}\n`)].join(
    "\n",
  );
}

function describeMetric({ name, value, low, high, chance, n }: Metric): string[] {
  const isShare = !/loss|perplexity|difference|matthews/.test(name);
  const plain = (x: number) => x < 1e6 ? x.toFixed(4) : x.toExponential(4);
  const show = (x: number) => isShare ? `${(100 * x).toFixed(2)} %` : plain(x);
  const rare = (x: number) => isShare && x > 0 && x < 1e-4 ? x.toExponential(1) : show(x);
  return [name, show(value), `${show(low)} … ${show(high)}`, rare(chance), String(n)];
}
