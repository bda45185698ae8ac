import { Command, CommanderError } from "commander";
import project from "../../deno.json" with { type: "json" };
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { type Output, runCommand } from "./command.ts";
import { type CommandEntry, commands } from "./commands.ts";

/** The terminal that started the program. */
const terminal: Output = {
  out: (text) => console.log(text.trimEnd()),
  err: (text) => console.error(text.trimEnd()),
};

/** What {@link main} is run with instead of the program's own commands and the terminal. */
export interface MainOptions {
  readonly commands?: readonly CommandEntry[];
  readonly output?: Output;
}

/**
 * Runs the program with the words of its command line and resolves to the exit status: 0, that of the error's code,
 * 2 for wrong usage, 1 for an error that nobody foresaw. Errors are one line on stderr; never throws.
 */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<number> {
  const output = options.output ?? terminal;
  try {
    return await dispatch(args, { commands: options.commands ?? commands, output });
  } catch (error) {
    const verbose = args.some((word) => /^--verbose(=true|=1)?$/i.test(word));
    return report(error, { verbose, output });
  }
}

async function dispatch(
  args: readonly string[],
  { commands: entries, output }: Required<MainOptions>,
): Promise<number> {
  let status: number = EXIT.usage;
  const program = new Command("lockstep").description(project.description)
    .version(`lockstep ${project.version}`, "-V, --version", "Print the version")
    .helpOption("-h, --help", "Print this; after a command, its options")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err, outputError: () => {} });
  for (const { name, summary, load } of entries) {
    // Every word after the name, --help included, is the command's own: it is known once its file is loaded.
    program.command(name).description(summary).argument("[words...]").usage("…")
      .helpOption(false).allowUnknownOption().passThroughOptions()
      .action(async (words: string[]) => {
        const { command } = await load();
        status = await runCommand(name, command, { words, output });
      });
  }
  if (args.length === 0) program.help({ error: true });
  await program.parseAsync(args[0] === "help" ? [...args.slice(1), "--help"] : args, { from: "user" });
  return status;
}

function report(error: unknown, { verbose, output }: { verbose: boolean; output: Output }): number {
  if (error instanceof LockstepError) {
    output.err(`error ${error.code}: ${error.message}`);
    if (verbose && error.cause !== undefined) output.err(stackOf(error.cause));
    return error.exitCode;
  }
  if (error instanceof CommanderError) return reportUsage(error, output);
  const [sentence] = (error instanceof Error ? error.message : String(error)).split("\n");
  output.err(`unexpected error: ${sentence}${verbose ? "" : " (run again with --verbose for the stack)"}`);
  if (verbose) output.err(stackOf(error));
  return EXIT.failure;
}

/** Commander throws for help and version too, printed by then. */
function reportUsage({ code, exitCode, message }: CommanderError, output: Output): number {
  if (exitCode === 0) return 0;
  if (code === "commander.help") return EXIT.usage;
  const sentence = message.replace(/^error: /, "").replaceAll("\n", " ");
  output.err(`error E_USAGE: ${sentence}: --help lists what is known`);
  return EXIT.usage;
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? error.stack : String(error);
}
