import { LockstepError } from "../../shared/errors.ts";

/** E_MEMORY: an engine could not reserve what a computation needs. `said` is the library's own word. */
export function outOfMemory(
  engine: string,
  { said, cause }: { said: string; cause?: unknown },
): LockstepError {
  return new LockstepError(
    "E_MEMORY",
    `The engine ${engine} ran out of memory: choose a smaller batch_size or model (${said})`,
    { cause },
  );
}
