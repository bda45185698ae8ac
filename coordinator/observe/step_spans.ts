import { type Context, context, type Span, trace } from "@opentelemetry/api";
import type { MetricsLine } from "../../shared/metrics.ts";
import type { RunObserver } from "../coordinator.ts";
import { activityNames } from "./activity_names.ts";

const tracer = trace.getTracer("lockstep");

/** An observer that hands each step to OpenTelemetry, with what each worker did in it, and tells `observer`. */
export function tracingSteps(observer: RunObserver): RunObserver {
  let doing: Span | undefined;
  return {
    ...observer,
    begins(activity) {
      doing?.end();
      const name = activityNames[activity];
      doing = name === null ? undefined : tracer.startSpan(name);
      observer.begins?.(activity);
    },
    step(line) {
      traceStep(line);
      observer.step?.(line);
    },
    checkpoint(saved) {
      doing?.setAttribute("lockstep.step", saved.step).end();
      doing = undefined;
      observer.checkpoint?.(saved);
    },
    evaluated(result) {
      doing?.end();
      doing = undefined;
      observer.evaluated?.(result);
    },
  };
}

/** The step has just ended. Its phases stand one after the other: what lies between reducing and applying is the decision. */
function traceStep({ step, loss, tokens_per_sec, grad_norm, dt_ms, workers = [] }: MetricsLine): void {
  const to = Date.now(), from = to - (dt_ms ?? 0);
  const attributes = known({
    "lockstep.step": step,
    "lockstep.loss": loss,
    "lockstep.tokens_per_second": tokens_per_sec,
    "lockstep.gradient_norm": grad_norm,
  });
  const root = tracer.startSpan("step", { startTime: from, attributes, root: true });
  const inStep = trace.setSpan(context.active(), root);
  for (const { id, compute_ms, wait_ms, reduce_ms, apply_ms } of workers) {
    const worker = tracer.startSpan(id, { startTime: from }, inStep);
    const inWorker = trace.setSpan(inStep, worker);
    let at = from;
    for (const [name, ms] of Object.entries({ compute: compute_ms, wait: wait_ms, reduce: reduce_ms })) {
      span(name, { from: at, to: at + (ms ?? 0) }, inWorker);
      at += ms ?? 0;
    }
    span("apply", { from: to - (apply_ms ?? 0), to }, inWorker);
    worker.end(to);
  }
  root.end(to);
}

function span(name: string, { from, to }: { from: number; to: number }, parent: Context): void {
  tracer.startSpan(name, { startTime: from }, parent).end(to);
}

function known(values: Readonly<Record<string, number | null>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => value === null ? [] : [[name, value]]),
  );
}
