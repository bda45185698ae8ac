import { join } from "node:path";
import { cacheFolder } from "../../shared/cache_folder.ts";
import { LockstepError } from "../../shared/errors.ts";
import { sha256 } from "../../shared/hash.ts";
import { CONFIG_OPTION, SOURCES } from "../../shared/own_process.ts";
import { ENGINE_PACKAGES } from "./engine_packages.ts";

/**
 * Has Deno fetch the package of an engine that is not in deno.json. Resolves to the options of `deno run` for processes that
 * use it; none for an engine without one. They get a lock file of their own in the cache folder, the program's and the
 * package: in the program's own it would be fetched by every later `deno task`. With `offline` only what is in Deno's cache
 * counts. Throws E_ENGINE where it cannot be had.
 */
export async function fetchEngine(
  name: string,
  { offline = false }: { offline?: boolean } = {},
): Promise<string[]> {
  if (!hasPackage(name)) return [];
  const specifier = ENGINE_PACKAGES[name];
  const fetch = offline ? resolveCached : download;
  const known = await readIfThere(join(SOURCES, "deno.lock"));
  const folder = cacheFolder("locks");
  if (known === undefined || folder === undefined) {
    await fetch(name, "--no-lock");
    return ["--no-lock"];
  }
  const lock = join(folder, `${name}-${sha256(known + specifier).slice(0, 16)}.json`);
  if (await readIfThere(lock) === undefined) {
    // Another run may do the same at this moment.
    const unfinished = `${lock}.${crypto.randomUUID()}`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(unfinished, known);
    await fetch(name, `--lock=${unfinished}`);
    await Deno.rename(unfinished, lock);
  } else {
    await fetch(name, `--lock=${lock}`);
  }
  return [`--lock=${lock}`];
}

/** True for an engine that needs an npm package beside those of deno.json. */
export function hasPackage(name: string): boolean {
  return Object.hasOwn(ENGINE_PACKAGES, name);
}

function download(name: string, lockOption: string): Promise<void> {
  return runDeno(name, ["cache", lockOption, ENGINE_PACKAGES[name]]);
}

/** `deno cache` cannot be told to stay offline. */
function resolveCached(name: string, lockOption: string): Promise<void> {
  const manifest = JSON.stringify(`${ENGINE_PACKAGES[name]}/package.json`);
  const code = `await import(${manifest}, { with: { type: "json" } })`;
  return runDeno(name, ["eval", "--cached-only", lockOption, code]);
}

async function runDeno(name: string, words: string[]): Promise<void> {
  const reason = await failureOf(words);
  if (reason === null) return;
  throw new LockstepError(
    "E_ENGINE",
    `Cannot use the engine ${name} as ${ENGINE_PACKAGES[name]} cannot be fetched: ${reason}`,
  );
}

/** What Deno says that went wrong; null if nothing did. */
async function failureOf([command, ...words]: string[]): Promise<string | null> {
  if (Deno.build.standalone) return "a compiled executable has no Deno to fetch it with";
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [command, "--quiet", CONFIG_OPTION, ...words],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    return success ? null : new TextDecoder().decode(stderr).trim().split("\n")[0];
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return "--allow-run is denied";
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
