import { LockstepError } from "../../shared/errors.ts";

/** The connection to a peer has ended, or could not be made: the generation's reductions cannot go on. */
export class LinkLost extends LockstepError {
  /** `rank`: the peer's. */
  constructor(readonly rank: number) {
    super("E_LINK", `The connection to rank ${rank} is lost`);
  }
}
