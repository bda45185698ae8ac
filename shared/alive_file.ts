import { join } from "node:path";
import { fileError } from "./files.ts";
import { holdLock, isLockHeld, type ProcessLock } from "./process_lock.ts";

/** The variable that names the file in which a process shows that it lives, as in a pod's specification. */
export const ALIVE_VARIABLE = "LOCKSTEP_ALIVE_FILE";

/** How often a process shows that it lives, in ms. */
const BEAT_MS = 5_000;
/** Silence after which it counts as hanging, in ms: some engines hold their thread for a whole step. */
const SILENT_MS = 60_000;

/**
 * Where a process shows that it lives: the file that {@link ALIVE_VARIABLE} names, otherwise `alive` in the directory of the
 * run that it leads; null for a process that leads none.
 */
export function aliveFileOf(runDir: string | null): string | null {
  return Deno.env.get(ALIVE_VARIABLE) ?? (runDir === null ? null : join(runDir, "alive"));
}

/** The file in which a process shows that it lives. */
export interface AliveFile extends Disposable {
  /** Shows it now, besides the times at which it does so by itself. */
  beat(): void;
}

/**
 * Makes `path` and locks it for as long as this process lives, and sets its time every 5 s for as long as its JavaScript
 * goes on; while another process of this machine has it locked, that one shows its life, and this one does from then on.
 * Disposing ends it and removes the file. Null without a `path`. Throws E_OUT_DIR or E_NO_SPACE where it cannot be made.
 */
export function keepAlive(path: string, options?: { everyMs?: number }): AliveFile;
export function keepAlive(path: string | null, options?: { everyMs?: number }): AliveFile | null;
export function keepAlive(path: string | null, { everyMs = BEAT_MS } = {}): AliveFile | null {
  if (path === null) return null;
  let lock = lockFile(path);
  const beat = () => {
    try {
      lock ??= holdLock(path);
      const now = new Date(); // this machine's clock, and not that of a file server
      if (lock !== null) Deno.utimeSync(path, now, now);
    } catch {
      lock?.release(); // the file was removed, or its disk is gone: it is made anew as soon as that is possible
      lock = null;
    }
  };
  beat();
  const timer = setInterval(beat, everyMs);
  Deno.unrefTimer(timer);
  return {
    beat,
    [Symbol.dispose]() {
      clearInterval(timer);
      if (lock !== null) removeFile(path); // while it is locked, so that it is no other process's
      lock?.release();
      lock = null;
    },
  };
}

function lockFile(path: string): ProcessLock | null {
  try {
    return holdLock(path);
  } catch (error) {
    throw fileError(error, `write ${path}`);
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It is gone already.
  }
}

/** Whether a process lives, and why that is thought. */
export interface Alive {
  readonly alive: boolean;
  /** A few words. */
  readonly reason: string;
}

/** Reads what a process shows with {@link keepAlive}. `now` in ms since 1970. Never throws. */
export function readAlive(
  path: string,
  { now = Date.now(), silentMs = SILENT_MS }: { now?: number; silentMs?: number } = {},
): Alive {
  const mtime = timeOf(path);
  if (mtime === null) return { alive: false, reason: `there is no ${path}` };
  if (!isLockHeld(path)) return { alive: false, reason: `the process that made ${path} has ended` };
  const silent = now - mtime;
  const seconds = `${Math.max(0, silent / 1000).toFixed(0)} s`;
  if (silent > silentMs) return { alive: false, reason: `its process hangs: last heard ${seconds} ago` };
  return { alive: true, reason: `heard ${seconds} ago` };
}

function timeOf(path: string): number | null {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? null;
  } catch {
    return null;
  }
}
