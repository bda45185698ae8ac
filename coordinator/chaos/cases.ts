import type { ChaosCase } from "./case.ts";
import { workerCases } from "./worker_cases.ts";

/** Every fault that a run must survive, by number. */
export const cases: readonly ChaosCase[] = [...workerCases];
