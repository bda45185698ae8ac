import type { ChaosCase } from "./case.ts";
import { coordinatorCases } from "./coordinator_cases.ts";
import { diskCases } from "./disk_cases.ts";
import { memberCases } from "./member_cases.ts";
import { workerCases } from "./worker_cases.ts";

/** Every fault that a run must survive, by number. */
export const cases: readonly ChaosCase[] = [
  ...workerCases,
  ...coordinatorCases,
  ...memberCases,
  ...diskCases,
].sort((a, b) => a.number - b.number);
