import type { Report } from "../shared/protocol/messages.ts";

/** What a group does between two rosters: a step, an evaluation, the reading of the state. */
export interface Activity {
  /** All members of a generation are ready at the boundary: do it, or what of it is left. */
  start(): void;
  /** A message of a member that the group itself has no use for. */
  take(from: string, report: Report): void;
  /** A member is lost. True if the others cannot go on without another roster. */
  lost(id: string): boolean;
  /** It cannot be done any more. */
  fail(error: unknown): void;
  /** Members that hold it up while nothing moves. */
  unfinished(): readonly string[];
  /** Called every TICK_MS. */
  tick?(): void;
}
