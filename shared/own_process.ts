import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the program's sources. */
export const SOURCES: string = fileURLToPath(new URL("..", import.meta.url));

/**
 * Names the program's own deno.json to `deno`. Left to itself Deno looks for none beside a file below node_modules, which
 * is where npm has put the sources.
 */
export const CONFIG_OPTION = `--config=${join(SOURCES, "deno.json")}`;

export interface OwnProcessOptions {
  /** What it may do: `--allow-read` …. */
  readonly permissions: readonly string[];
  /** Further options of `deno run`: which lock file. */
  readonly runOptions?: readonly string[];
}

/**
 * What `Deno.execPath()` is called with to run one of the program's modules in a process of its own, on `words`: silently,
 * and with what Deno has fetched already.
 */
export function moduleArguments(
  [module, ...words]: readonly [string, ...string[]],
  { permissions, runOptions = [] }: OwnProcessOptions,
): string[] {
  const fixed = ["run", "--quiet", "--no-prompt", "--cached-only", CONFIG_OPTION];
  return [...fixed, ...runOptions, ...permissions, module, ...words];
}

/**
 * As {@link moduleArguments}, for a command of the program itself: `worker --id=…`. An executable of `deno compile` is the
 * program, with the permissions that it was compiled with.
 */
export function programArguments(words: readonly string[], options: OwnProcessOptions): string[] {
  if (Deno.build.standalone) return [...words];
  return moduleArguments([join(SOURCES, "mod.ts"), ...words], options);
}
