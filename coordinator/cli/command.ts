import { Command } from "commander";
import { z } from "zod";
import { configKeys, type Section } from "../../shared/config/run_config.ts";
import { describeField } from "../../shared/config/kinds.ts";
import { type OptionTable, readOptions, spellAsDeclared, toCommanderOption } from "./options.ts";

/** A command of the program, as its file exports it: `export const command = defineCommand({ … })`. */
export interface CommandModule {
  /** What it does, one line. */
  readonly summary: string;
  /** What stands after its name: `RUN [--key=value …]`. */
  readonly usage: string;
  readonly options: OptionTable;
  /** Sections of the configuration that its help lists; with any, words that are no option of its own reach `run`. */
  readonly config: readonly Section[];
  /** A command line that works. */
  readonly example: string;
  /** Runs with what `command` has parsed and resolves to the exit status. */
  run(command: Command): Promise<number>;
}

/** What a command is defined by: its `run` gets its options typed and every other word as it stood. */
export interface CommandDefinition<Options extends OptionTable>
  extends Omit<CommandModule, "run" | "config"> {
  readonly options: Options;
  /** Sections whose keys it takes; left out, it takes none and an unknown option is an error. */
  readonly config?: readonly Section[];
  run(args: { options: z.output<z.ZodObject<Options>>; words: string[] }): Promise<number>;
}

/**
 * Makes a command of its definition.
 *
 * @example
 * ```ts
 * import { about, truth } from "../../shared/config/kinds.ts";
 *
 * export const command = defineCommand({
 *   summary: "Say hello",
 *   usage: "NAME",
 *   options: { loud: truth().default(false).register(about, { help: "Whether to shout" }) },
 *   example: "lockstep hello Ada --loud",
 *   run({ options, words: [name] }) {
 *     console.log(options.loud ? name.toUpperCase() : name);
 *     return Promise.resolve(0);
 *   },
 * });
 * ```
 */
export function defineCommand<Options extends OptionTable>(
  definition: CommandDefinition<Options>,
): CommandModule {
  const schema = z.object(definition.options);
  return {
    ...definition,
    config: definition.config ?? [],
    run(command) {
      const options = schema.parse(readOptions(definition.options, command));
      return definition.run({ options, words: command.args });
    },
  };
}

/** Where a command line's help and results are written. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

/** Parses `words` as the options of the command `name` ("lockstep train") and runs it. Throws a CommanderError for wrong usage. */
export async function runCommand(
  name: string,
  module: CommandModule,
  { words, output }: { words: readonly string[]; output: Output },
): Promise<number> {
  const command = bare(name, module, output);
  for (const option of ownOptions(module)) command.addOption(option);
  if (module.config.length > 0) command.allowUnknownOption();
  command.helpInformation = () => helpOf(name, module, output);
  command.parse(spellAsDeclared(words, module.options), { from: "user" });
  return await module.run(command);
}

/** The help lists the keys of the configuration too, which parsing leaves in the words. */
function helpOf(name: string, module: CommandModule, output: Output): string {
  const command = bare(name, module, output);
  for (const option of ownOptions(module)) command.addOption(option);
  for (const key of configKeys.values()) {
    if (module.config.includes(key.section)) {
      command.addOption(toCommanderOption(key).helpGroup(`Configuration, ${key.section}:`));
    }
  }
  return `${command.helpInformation()}\nExample:\n  ${module.example}\n`;
}

function bare(name: string, { summary, usage }: CommandModule, { out, err }: Output): Command {
  return new Command(name).description(summary).usage(usage)
    .helpOption("-h, --help", "Print this")
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err, outputError: () => {} });
}

function ownOptions({ options }: CommandModule) {
  return Object.entries(options).map(([name, schema]) => toCommanderOption(describeField(name, schema)));
}
