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
 * goes on. Disposing ends both and removes the file. Null where there is no `path`, or another process of this machine holds
 * the lock: it shows its own life. Throws E_OUT_DIR or E_NO_SPACE where the file cannot be made.
 */
export function keepAlive(
  path: string | null,
  { everyMs = BEAT_MS }: { everyMs?: number } = {},
): AliveFile | null {
  const lock = path === null ? null : lockFile(path);
  if (path === null || lock === null) return null;
  const beat = () => {
    try {
      const now = new Date(); // this machine's clock, and not that of a file server
      Deno.utimeSync(path, now, now);
    } catch {
      // A file that was removed shows no life: whoever removed it meant that.
    }
  };
  beat();
  const timer = setInterval(beat, everyMs);
  Deno.unrefTimer(timer);
  return {
    beat,
    [Symbol.dispose]() {
      clearInterval(timer);
      lock.release();
      try {
        Deno.removeSync(path);
      } catch {
        // It is gone already.
      }
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
