import { trainingFlops } from "../sweep/match_variants.ts";
import type { RunState } from "../sweep/run_state.ts";
import type { PlannedRun } from "./sweep_plan.ts";
import type { SweepRunOutcome } from "./sweep_run.ts";

/** A row a run: what it costs and how far it is. */
export function describePlan(runs: readonly PlannedRun[]): string {
  const rows = runs.map(({ name, cost, state }) => [
    name,
    cost.parameters.toLocaleString("en-US"),
    cost.maxIters.toLocaleString("en-US"),
    (cost.maxIters * cost.tokensPerStep).toLocaleString("en-US"),
    trainingFlops(cost).toExponential(2),
    describeState(state),
  ]);
  const table = [["run", "parameters", "steps", "tokens", "FLOP", "state"], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd()).join("\n");
}

function describeState(state: RunState): string {
  switch (state.kind) {
    case "done":
      return state.result.status === "finished"
        ? "done"
        : `done: its budget ended it at step ${state.result.steps}`;
    case "trained":
      return `trained to step ${state.step}, not measured yet`;
    case "resumable":
      return `goes on from step ${state.step}`;
    case "new":
      return "new";
    case "running":
      return `another process trains it, ${state.reason}`;
    case "changed":
      return `changed: ${state.differences.join(", ")}`;
  }
}

/** What became of a run, with its first figures. */
export function describeEnd(outcome: SweepRunOutcome): string {
  if (outcome.kind === "failed") return `failed: ${outcome.reason}`;
  if (outcome.kind === "open") return `not done: ${outcome.reason}`;
  const { status, steps, seconds, val_loss, tasks } = outcome.result;
  const figures = Object.entries(tasks).map(([task, metrics]) => {
    const [[name, { value }]] = Object.entries(metrics);
    return `${task} ${name} ${value?.toFixed(4) ?? "not known"}`;
  });
  const how = status === "finished" ? "done" : "done, ended by its budget";
  return [
    `${how}: ${steps} steps in ${describeSeconds(seconds)}`,
    `val loss ${val_loss?.toFixed(4) ?? "not known"}`,
    ...figures,
  ]
    .join(", ");
}

function describeSeconds(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}
