/** Names the command that a person has started the program with; the installed `lockstep` sets it. */
const STARTED_AS = "LOCKSTEP_COMMAND";

/**
 * How a person types a command of this program: `lockstep sample RUN` where it is installed, otherwise
 * `deno task cli sample RUN`.
 */
export function commandLine(words: string): string {
  const installed = Deno.build.standalone ? "lockstep" : Deno.env.get(STARTED_AS);
  return `${installed ?? "deno task cli"} ${words}`;
}
