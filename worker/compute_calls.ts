import type { Computing } from "./compute.ts";
import type { ComputedStep } from "./shard_trainer.ts";

/** What the thread answers: a step's end can't be asked for, as it is busy then, so that it watches a number instead. */
export type ComputeCalls = Omit<Computing, "abort" | "computeStep"> & {
  watch(aborts: Int32Array<SharedArrayBuffer>): Promise<void>;
  /** Until the watched number is another. */
  computeStep(step: number, audit: number | null, aborts: number): Promise<ComputedStep | null>;
};
