import { Command, CommanderError } from "commander";
import project from "../../deno.json" with { type: "json" };
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { type Output, runCommand } from "./command.ts";
import { type CommandEntry, type CommandGroup, commands } from "./commands.ts";

/** The terminal that started the program. */
const terminal: Output = {
  out: (text) => console.log(text.trimEnd()),
  err: (text) => console.error(text.trimEnd()),
};

/** What {@link main} is run with instead of the program's own commands and the terminal. */
export interface MainOptions {
  readonly commands?: readonly (CommandEntry | CommandGroup)[];
  readonly output?: Output;
}

/**
 * Runs the program with the words of its command line and resolves to the exit status: 0, that of the error's code,
 * 2 for wrong usage, 1 for an error that nobody foresaw. Errors are one line on stderr; never throws.
 */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<number> {
  const output = options.output ?? terminal;
  try {
    const program = new Command("lockstep").description(project.description)
      .version(`lockstep ${project.version}`, "-V, --version", "Print the version");
    const words = args[0] === "help" ? [...args.slice(1), "--help"] : args;
    return await dispatch(words, { program, commands: options.commands ?? commands, output });
  } catch (error) {
    const verbose = args.some((word) => /^--verbose(=true|=1)?$/i.test(word));
    return report(error, { verbose, output });
  }
}

/** Runs the command that the first word names, of the program's or of a group's. */
async function dispatch(
  words: readonly string[],
  { program, commands: entries, output }: Required<MainOptions> & { program: Command },
): Promise<number> {
  let status: number = EXIT.usage;
  program.helpOption("-h, --help", "Print this; after a command, its options")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err, outputError: () => {} });
  for (const entry of entries) {
    // Every word after the name, --help included, is the command's own: it is known once its file is loaded.
    program.command(entry.name).description(entry.summary).argument("[words...]").usage("…")
      .helpOption(false).allowUnknownOption().passThroughOptions()
      .action(async (words: string[]) => {
        status = await runEntry(entry, { words, program: program.name(), output });
      });
  }
  if (words.length === 0) program.help({ error: true });
  await program.parseAsync(words, { from: "user" });
  return status;
}

async function runEntry(
  entry: CommandEntry | CommandGroup,
  { words, program, output }: { words: readonly string[]; program: string; output: Output },
): Promise<number> {
  const commands = "commands" in entry ? entry.commands : [];
  if (entry.load !== undefined && !commands.some(({ name }) => name === words[0])) {
    const { command } = await entry.load();
    return await runCommand(`${program} ${entry.name}`, command, { words, output });
  }
  const group = new Command(`${program} ${entry.name}`).description(entry.summary);
  return await dispatch(words, { program: group, commands, output });
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
