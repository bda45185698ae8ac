import { Counter, Gauge, Registry } from "prom-client";
import { parseWorkers } from "../../shared/metrics.ts";
import type { WatchedRun } from "../dashboard/watched_run.ts";

/** Metrics by name: what they are, and whether they only grow. Units are in the names, as Prometheus wants them. */
const METRICS = {
  lockstep_running: { help: "1 while a process leads the run" },
  lockstep_max_steps: { help: "Steps that the run is to take" },
  lockstep_steps_total: { help: "Steps taken, as far as they are logged", counts: true },
  lockstep_tokens_total: { help: "Tokens trained on", counts: true },
  lockstep_train_loss_nats: { help: "Mean loss of the newest logged step" },
  lockstep_val_loss_nats: { help: "Newest estimate of the validation loss" },
  lockstep_learning_rate: { help: "Learning rate" },
  lockstep_gradient_norm: { help: "Norm of the gradient before clipping" },
  lockstep_tokens_per_second: { help: "Tokens a second" },
  lockstep_model_flops_utilization_ratio: { help: "Share of the workers' peak FLOP/s that the model uses" },
  lockstep_step_seconds: { help: "Duration of the newest logged step" },
  lockstep_worker_phase_seconds: {
    help: "Of that, by worker: compute, wait, reduce, apply",
    by: ["worker", "phase"],
  },
  lockstep_workers: { help: "Workers in the newest logged step" },
  lockstep_checkpoint_step: { help: "Step of the newest checkpoint" },
  lockstep_members_lost_total: { help: "Members lost, by the error's code", by: ["code"], counts: true },
} as const satisfies Record<string, { help: string; by?: readonly string[]; counts?: true }>;

type Name = keyof typeof METRICS;
type Metric = Gauge | Counter;
type Say = (name: Name, value: unknown, labels?: Readonly<Record<string, string>>) => void;

/** What the runs' files say now, for Prometheus; a number that a run does not have is left out. */
export async function prometheusText(
  runs: readonly WatchedRun[],
): Promise<{ readonly body: string; readonly contentType: string }> {
  const registry = new Registry();
  const metrics = new Map(
    Object.entries(METRICS).map(([name, about]) => [name, create(name, about, registry)]),
  );
  for (const watched of runs) {
    await tell(watched, (name, value, labels) => {
      if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return;
      const metric = metrics.get(name), all = { run: watched.path, ...labels };
      if (metric instanceof Gauge) metric.set(all, value);
      else metric?.inc(all, value);
    });
  }
  return { body: await registry.metrics(), contentType: registry.contentType };
}

function create(
  name: string,
  { help, by = [], counts = false }: { help: string; by?: readonly string[]; counts?: boolean },
  registry: Registry,
): Metric {
  const options = { name, help, labelNames: ["run", ...by], registers: [registry] };
  return counts ? new Counter(options) : new Gauge(options);
}

async function tell(run: WatchedRun, say: Say): Promise<void> {
  const { history } = run;
  await history.refresh();
  const { metrics, estimate } = history.newest;
  const { running, maxSteps, checkpoints } = await run.summary();
  say("lockstep_running", running ? 1 : 0);
  say("lockstep_max_steps", maxSteps);
  say("lockstep_checkpoint_step", checkpoints.at(-1));
  say("lockstep_val_loss_nats", estimate?.metrics.val_loss);
  for (const [code, count] of history.failures) say("lockstep_members_lost_total", count, { code });
  if (metrics === null) return;
  say("lockstep_steps_total", history.step + 1);
  say("lockstep_tokens_total", metrics.tokens);
  say("lockstep_train_loss_nats", metrics.loss);
  say("lockstep_learning_rate", metrics.lr);
  say("lockstep_gradient_norm", metrics.grad_norm);
  say("lockstep_tokens_per_second", metrics.tokens_per_sec);
  say("lockstep_model_flops_utilization_ratio", metrics.mfu);
  say("lockstep_step_seconds", seconds(metrics.dt_ms));
  const workers = parseWorkers(metrics.workers);
  if (workers.length > 0) say("lockstep_workers", workers.length);
  for (const { id, ...phases } of workers) {
    for (const [name, ms] of Object.entries(phases)) {
      const labels = { worker: id, phase: name.replace(/_ms$/, "") };
      say("lockstep_worker_phase_seconds", seconds(ms), labels);
    }
  }
}

function seconds(ms: unknown): number | null {
  return typeof ms === "number" ? ms / 1000 : null;
}
