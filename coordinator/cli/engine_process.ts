import { programArguments } from "../../shared/own_process.ts";
import { fetchEngine, hasPackage } from "../../worker/engines/fetch_engine.ts";

/** What commands that compute may do: what `deno task cli` may, without the network. */
const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-ffi",
  "--allow-run",
];

/** Names the engine in whose process this program runs. */
const MARK = "LOCKSTEP_ENGINE_PROCESS";

/** A command line in a process that may use the package of `engine`: under the engine's own lock file. */
export async function engineCommand(
  engine: string,
  words: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<Deno.Command> {
  const runOptions = await fetchEngine(engine);
  return new Deno.Command(Deno.execPath(), {
    ...options,
    args: programArguments(words, { permissions: PERMISSIONS, runOptions }),
    env: { [MARK]: engine },
  });
}

/**
 * Runs this program's command line again where `engine` can be used, and resolves to its exit status; null where it can be
 * used in this process.
 */
export async function rerunFor(engine: string): Promise<number | null> {
  if (!hasPackage(engine) || Deno.env.get(MARK) === engine) return null;
  const command = await engineCommand(engine, Deno.args);
  return (await command.spawn().status).code;
}
