import { join } from "node:path";

/**
 * The program's own folder for what can be made again, with `names` below it: `$XDG_CACHE_HOME/lockstep`, or in the
 * platform's place for caches; undefined where there is none. It need not exist yet.
 */
export function cacheFolder(...names: string[]): string | undefined {
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE");
  const base = Deno.env.get("XDG_CACHE_HOME") ??
    (home && join(home, Deno.build.os === "darwin" ? "Library/Caches" : ".cache"));
  return base && join(base, "lockstep", ...names);
}
