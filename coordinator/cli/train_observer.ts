import type { PrepareProgress } from "../../shared/data/prepare.ts";
import type { RunObserver } from "../coordinator.ts";

/** What is told besides the run itself. */
export interface TrainObserver extends RunObserver {
  /** Before anything is started: what computes, how many, and why. */
  plan?(plan: RunPlan): void;
  preparing?(progress: PrepareProgress): void;
  warn?(sentence: string): void;
  /** A page shows the run. */
  page?(url: string): void;
}

/** What a run consists of. */
export interface RunPlan {
  readonly engine: string;
  readonly device: string;
  /** The adapter and its limits, in words; null for a CPU. */
  readonly hardware: string | null;
  readonly workers: number;
  readonly threads: number;
  readonly reason: string;
  readonly runDir: string;
  /** Where it goes on; 0 for a new run. */
  readonly step: number;
}
