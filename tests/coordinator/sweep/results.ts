import type { RunResult } from "../../../coordinator/sweep/run_result.ts";

/** A result of a run that finished, with what a test is about. */
export function resultOf(given: Partial<RunResult>): RunResult {
  return {
    format: 1,
    sweep: "depths",
    variant: "one",
    seed: 1,
    status: "finished",
    config_hash: "00",
    config: { n_layer: 2 },
    parameters: 1_000,
    flops_per_token: 6_000,
    max_iters: 100,
    steps: 100,
    tokens: 2_000,
    seconds: 1_800,
    budget_seconds: null,
    val_loss: 1,
    eval_items: 10,
    tasks: {},
    curve: { step: [0, 100], train_loss: [3, 1], val_loss: [3, 1] },
    engine: "onnx",
    device: "cpu",
    versions: { lockstep: "0.1.0" },
    git_revision: null,
    machine: "2 × CPU",
    date: "2026-11-24T12:00:00.000Z",
    ...given,
  };
}

/** A metric with the usual bounds. */
export function metricOf(value: number) {
  return { value, low: value - 0.05, high: value + 0.05, chance: 0.25, n: 10 };
}
