import { PeerError } from "./peer_error.ts";

/** The connection to a peer has ended, or could not be made: the generation's reductions cannot go on. */
export class LinkLost extends PeerError {
  /** `rank`: the peer's. */
  constructor(rank: number) {
    super("E_LINK", `The connection to rank ${rank} is lost`, rank);
  }
}
