/**
 * The parts of npm:cliffy 2.5.1 that the console uses. Its own declarations depend on @types/node 6, which would stand in
 * for those of every `node:` module of this program.
 */
import type { Readable, Writable } from "node:stream";

export interface Parameter {
  readonly label: string;
  readonly optional?: boolean;
}

export interface Command {
  readonly description: string;
  readonly parameters?: Parameter[];
  /** Gets what was typed for each parameter, by its label; what is optional may be missing. */
  action(parameters: Record<string, string | undefined>): Promise<void>;
}

/** Reads a line, runs its command, and asks for the next line by writing the delimiter. */
export declare class CLI {
  constructor(options: { input: Readable; output: Writable; quietBlank?: boolean });
  setDelimiter(delimiter: string): this;
  addCommand(name: string, command: Command): this;
  show(): this;
  hide(): this;
}
