import { type ErrorCode, LockstepError } from "../../shared/errors.ts";

/** What a peer of a reduction has done, or what happened on the link to it. */
export class PeerError extends LockstepError {
  constructor(code: ErrorCode, message: string, readonly rank: number, options?: ErrorOptions) {
    super(code, message, options);
  }
}
