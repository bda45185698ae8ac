import { join } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };

/** How this program is started again, by somebody else: its environment, and the words before those of its own. */
export interface ProgramCommand {
  readonly environment: Readonly<Record<string, string>>;
  readonly words: readonly string[];
}

const PROGRAM = join(fileURLToPath(new URL("../..", import.meta.url)), "mod.ts");

/**
 * The task `train` of deno.json up to its command, with absolute paths: this very Deno and this very program, which every
 * machine with the same disks finds where this one did. No task runner, shell or npx stands between: a signal must reach
 * the program.
 */
export function programCommand(): ProgramCommand {
  const words = project.tasks.train.split(" ");
  const start = words.indexOf("deno");
  const variables = words.slice(0, start).map((word): [string, string] => {
    const [name, ...value] = word.split("=");
    return [name, value.join("=")];
  });
  const environment = Object.fromEntries(variables);
  if (Deno.build.standalone) return { environment, words: [Deno.execPath()] };
  const run = words.slice(start + 1, -1).map((word) => word === "mod.ts" ? PROGRAM : word);
  return { environment, words: [Deno.execPath(), ...run] };
}
