/** Process exit statuses: failure, wrong usage, "try again" (sysexits' EX_TEMPFAIL), interrupted by Ctrl-C. */
export const EXIT = { failure: 1, usage: 2, tryAgain: 75, interrupted: 130 } as const;

/** Every code a refusal may carry, and the exit status of a program that ends with it. */
const EXIT_BY_CODE = {
  E_USAGE: EXIT.usage,
  E_CONFIG: EXIT.usage,
  E_PRESET: EXIT.usage,
  E_MODEL: EXIT.usage,
  E_WORLD_SIZE: EXIT.usage,
  E_TASK: EXIT.usage,
  E_DATA: EXIT.failure,
  E_TOKEN: EXIT.failure,
  E_PICKLE: EXIT.failure,
  E_WEIGHTS: EXIT.failure,
  E_EXPORT: EXIT.failure,
  E_UNSUPPORTED_OP: EXIT.failure,
  E_GRAPH: EXIT.failure,
  E_ENGINE: EXIT.failure,
  E_MEMORY: EXIT.failure,
  E_NON_FINITE: EXIT.failure,
  E_WORKER_DIED: EXIT.failure,
  E_OUT_DIR: EXIT.failure,
  E_CHECKPOINT_CORRUPT: EXIT.failure,
  E_NO_CHECKPOINT: EXIT.failure,
  E_NO_SPACE: EXIT.failure,
  E_PATH: EXIT.failure,
  E_VERSION: EXIT.failure,
  E_RUN: EXIT.failure,
  E_CONFIG_HASH: EXIT.failure,
  E_STALE: EXIT.failure,
  E_DUPLICATE_ID: EXIT.failure,
  E_KEY: EXIT.failure,
  E_TOO_LARGE: EXIT.failure,
  E_SHORT: EXIT.failure,
  E_CRC: EXIT.failure,
  E_DECODE: EXIT.failure,
  E_NUMERICS: EXIT.failure,
  E_DIVERGED: EXIT.failure,
  E_ZMQ: EXIT.failure,
  E_LINK: EXIT.failure,
  E_SUBMIT: EXIT.failure,
  E_TOO_FEW: EXIT.tryAgain,
  E_RDZV: EXIT.tryAgain,
  E_LEDGER: EXIT.tryAgain,
  E_TIME: EXIT.tryAgain,
  E_INTERRUPTED: EXIT.interrupted,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;

/**
 * A refusal meant for a person: one sentence (what was done, what is required, what was given, what to do),
 * without a full stop, and a stable code. Anything else that is thrown is a bug and keeps its stack trace.
 */
export class LockstepError extends Error {
  override readonly name = "LockstepError";

  constructor(readonly code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }

  /** The exit status of a program that ends with this error. */
  get exitCode(): number {
    return EXIT_BY_CODE[this.code];
  }
}

/** True if `code` is one of the codes above: for errors that arrive from another process. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(EXIT_BY_CODE, code);
}
