import process from "node:process";
import { SingleBar } from "cli-progress";
import type { RunConfig } from "../../shared/config/run_config.ts";
import type { MetricsLine } from "../../shared/metrics.ts";
import type { Metric } from "../../shared/tasks/task.ts";
import type { TaskResult } from "../evaluate_task.ts";
import type { RunPlan, TrainObserver } from "./train_observer.ts";

/** How a run is shown to a person: a progress bar on a terminal, plain lines elsewhere, little with --quiet. */
export interface TrainConsole extends TrainObserver {
  /** Takes the bar away. */
  end(): void;
  /** The run's directory once it holds something to resume from. */
  resumable(): string | null;
}

/** Shows a run on standard output. */
export function trainConsole({ max_iters, log_interval, quiet }: RunConfig): TrainConsole {
  const bar = !quiet && Deno.stdout.isTerminal() ? progressBar() : null;
  const print = (line: string) => {
    if (quiet) return;
    if (bar === null) console.log(line);
    else bar.print(line);
  };
  let logInterval = log_interval;
  let first = 0;
  let stepsMs = 0; // of all steps so far; estimates and checkpoints between them are not in it
  let runDir = "";
  let saved = false;
  return {
    plan(plan) {
      first = plan.step;
      runDir = plan.runDir;
      saved = plan.step > 0;
      print(describePlan(plan));
    },
    preparing({ phase, doneBytes, totalBytes }) {
      if (doneBytes >= totalBytes) {
        print(
          `${phase === "collect" ? "read" : "encoded"} ${totalBytes.toLocaleString("en-US")} bytes of text`,
        );
      }
    },
    warn: (sentence) => console.error(`warning ${sentence}`),
    logInterval: (steps) => logInterval = steps,
    page: (url) => print(`page: ${url}`),
    ready({ size, flopsPerToken }) {
      print(`${size.toLocaleString("en-US")} parameters, ${(flopsPerToken / 1e6).toFixed(1)} MFLOP a token`);
      bar?.start(max_iters, first);
    },
    step(line) {
      stepsMs += line.dt_ms ?? 0;
      const left = (max_iters - line.step - 1) * stepsMs / (line.step + 1 - first) / 1000;
      bar?.update(line, left);
      if (bar === null && (line.step % logInterval === 0 || line.step === max_iters - 1)) {
        print(describeStep(line, left));
      }
    },
    estimate({ step, train, val }) {
      print(`step ${step}: train loss ${train.toFixed(4)}, val loss ${val.toFixed(4)}`);
    },
    checkpoint({ path }) {
      saved = true;
      print(`saved ${path}`);
    },
    held: (error) =>
      console.error(`warning ${error.code}: ${error.message}; the step waits until there is room`),
    checkpointFailed: (error) => console.error(`warning ${error.code}: ${error.message}; training goes on`),
    end: () => bar?.stop(),
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

/** nanoGPT's log line, with tokens/s and time left. */
function describeStep({ step, loss, dt_ms, tokens_per_sec }: MetricsLine, secondsLeft: number): string {
  return `iter ${step}: loss ${(loss ?? NaN).toFixed(4)}, time ${(dt_ms ?? NaN).toFixed(2)}ms, ${
    Math.round(tokens_per_sec ?? 0)
  } tokens/s, ${duration(secondsLeft)} left`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, "0")}s`;
}

function progressBar() {
  const bar = new SingleBar({
    format: "{bar} iter {value}/{total}  loss {loss}  {speed} tokens/s  {left} left",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    hideCursor: true,
    stream: process.stdout,
  });
  let running = false;
  return {
    start(total: number, value: number) {
      bar.start(total, value, { loss: "–", speed: "–", left: "–" });
      running = true;
    },
    update({ step, loss, tokens_per_sec }: MetricsLine, left: number) {
      bar.update(step + 1, {
        loss: (loss ?? NaN).toFixed(4),
        speed: Math.round(tokens_per_sec ?? 0),
        left: duration(left),
      });
    },
    /** A line above the bar. */
    print(line: string) {
      console.log(running ? `\r\x1b[K${line}` : line);
    },
    stop() {
      if (running) bar.stop();
      running = false;
    },
  };
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
