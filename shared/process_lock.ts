/** A file that is locked; the system lets go of it too when this process ends, however it does. */
export interface ProcessLock {
  release(): void;
}

/** Locks a file, which is made where it is not there; null if another process has locked it. */
export function holdLock(path: string): ProcessLock | null {
  const file = Deno.openSync(path, { write: true, create: true });
  if (file.tryLockSync(true)) return { release: () => file.close() };
  file.close();
  return null;
}

/** Whether a file is locked by a process that lives; false where there is no file. */
export function isLockHeld(path: string): boolean {
  try {
    using file = Deno.openSync(path, { write: true });
    return !file.tryLockSync(true);
  } catch {
    return false;
  }
}
