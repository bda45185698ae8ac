import type { Message, Order } from "../shared/protocol/messages.ts";

/** A boundary between steps. */
export interface Position {
  /** So many steps are decided. */
  readonly step: number;
  /** The state after them; null while no member has told it. */
  readonly stateHash: string | null;
}

/** What members need to apply a decided step. */
export type StepDecision = Message<Order, "COMMIT">["decided"];
