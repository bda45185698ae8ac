import type { RunActivity } from "../coordinator.ts";

/** What a run does between its steps, as traces and profiles name it; the steps are told by themselves. */
export const activityNames: Readonly<Record<RunActivity, string | null>> = {
  forming: "form",
  stepping: null,
  paused: "pause",
  estimating: "estimate losses",
  saving: "checkpoint",
  evaluating: "evaluate",
};
