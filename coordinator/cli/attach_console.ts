import { PassThrough, Writable } from "node:stream";
// @ts-types="./cliffy.d.ts"
import { CLI } from "cliffy";
import { z } from "zod";
import { suggest } from "../../shared/config/suggest.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { AskOptions, SteeringClient } from "../steering/steering_client.ts";
import { type SteeringCommand, steeringCommands } from "../steering/steering_commands.ts";
import { LineEditor } from "./line_editor.ts";

/** Commands of the console itself. */
const HELP = "help", QUIT = "quit";
const NAMES = [...steeringCommands.map(({ name }) => name), HELP, QUIT];

/** What cliffy writes when it wants the next line; nobody sees it. */
const READY = "?";
/** What a line may hold: cliffy would leave out anything else. */
const READABLE = /^[\w\s.-]*$/;
/** How often something is followed, in ms. */
const FOLLOW_MS = 500;
/** How long the first answer may take, in ms: a run that computes in its own process is deaf during a part of a step. */
const FIRST_ANSWER_MS = 15_000;
/** An answer that takes longer, in ms, is worth a word. */
const PATIENCE_MS = 1_000;

/** Names of workers in the value of an answer: a list of names, or of workers. */
const namesSchema = z.array(z.union([z.string(), z.object({ id: z.string() }).transform(({ id }) => id)]));

/**
 * Lets a person steer a run until they leave it or it is over, which leaves the run alone. Resolves to how many commands
 * were refused. Rejects with E_RUN where the run does not answer.
 */
export async function openConsole(run: SteeringClient): Promise<number> {
  const console = new AttachConsole(run);
  return await console.left;
}

/**
 * cliffy reads lines, runs commands and makes the help. Its own line editor knows no completion, so it gets lines from
 * another one, a line each time it is ready.
 */
class AttachConsole {
  readonly #left = Promise.withResolvers<number>();
  readonly #editor: LineEditor;
  readonly #lines = new PassThrough();
  readonly #cli: CLI;
  #refused = 0;
  #hasLeft = false;
  /** Names that can be completed, as of the last answer that has them. */
  #workers: readonly string[] = [];

  constructor(private readonly run: SteeringClient) {
    this.#editor = new LineEditor({ prompt: "run> ", complete: (line) => this.#complete(line) });
    const ready = new Writable({
      write: (_chunk, _encoding, done) => {
        this.#feed();
        done();
      },
    });
    this.#cli = new CLI({ input: this.#lines, output: ready, quietBlank: true }).setDelimiter(READY);
    for (const command of steeringCommands) this.#add(command);
    this.#cli.addCommand(QUIT, {
      description: "Leave the console; the run goes on",
      action: () => Promise.resolve(this.#finish()),
    });
    this.#greet();
  }

  get left(): Promise<number> {
    return this.#left.promise;
  }

  async #greet(): Promise<void> {
    const late = AbortSignal.timeout(FIRST_ANSWER_MS);
    const [status] = steeringCommands;
    try {
      const wait = (signal: AbortSignal) => this.#ask(status, { signal: AbortSignal.any([signal, late]) });
      await this.#editor.during(wait, { anyKey: false });
    } catch (error) {
      this.#leave();
      return this.#left.reject(late.aborted ? deaf() : error);
    }
    if (this.#editor.isTerminal) {
      print(`${HELP} lists the commands, Tab completes; ${QUIT} leaves the run alone`);
    }
    this.run.over.then(({ message }) => {
      print(this.#editor.isTerminal ? `\n${message}` : message);
      this.#finish();
    });
    this.#cli.show();
  }

  #add(command: SteeringCommand): void {
    this.#cli.addCommand(command.name, {
      description: command.summary,
      parameters: command.parameters.map(({ label, optional = false }) => ({ label, optional })),
      action: (given) => this.#do(command, command.parameters.flatMap(({ label }) => given[label] ?? [])),
    });
  }

  /** Hands cliffy the next line that names a command. */
  async #feed(): Promise<void> {
    for (;;) {
      const line = await this.#editor.next();
      if (line === null) return this.#finish();
      const problem = problemOf(line);
      if (problem === null) return void this.#lines.write(`${line}\n`);
      this.#refuse(problem);
    }
  }

  async #do(command: SteeringCommand, words: readonly string[]): Promise<void> {
    try {
      await this.#editor.during(
        (signal) =>
          command.follows ? this.#follow(command, { words, signal }) : this.#ask(command, { words, signal }),
        { anyKey: command.follows ?? false },
      );
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      this.#refuse(error);
    }
  }

  async #ask({ name }: SteeringCommand, options: AskOptions): Promise<void> {
    const timer = setTimeout(() => print("the run has not answered yet; Ctrl-C stops waiting"), PATIENCE_MS);
    try {
      const { text, value: { workers } } = await this.run.ask(name, options);
      this.#workers = namesSchema.safeParse(workers).data ?? this.#workers;
      print(text);
    } finally {
      clearTimeout(timer);
    }
  }

  async #follow({ name }: SteeringCommand, { words = [], signal }: AskOptions): Promise<void> {
    if (this.#editor.isTerminal) print("any key ends it");
    for (let again = false, next = words; !signal?.aborted; again = true) {
      const { text, value } = await this.run.ask(name, { words: next, again });
      if (text !== "") print(text);
      if (typeof value.next === "string") next = [value.next];
      await pause(FOLLOW_MS, signal);
    }
  }

  #refuse({ code, message }: LockstepError): void {
    if (this.#hasLeft) return;
    this.#refused++;
    print(`${code}: ${message}`);
  }

  #complete(line: string): readonly string[] {
    const [name = "", ...rest] = line.trimStart().split(/\s+/);
    const known = rest.length === 0 ? NAMES : rest.length === 1 ? this.#secondWords(name) : [];
    const word = rest.length === 0 ? name : rest[rest.length - 1];
    return known.filter((candidate) => candidate.startsWith(word));
  }

  #secondWords(name: string): readonly string[] {
    if (name === HELP) return NAMES.filter((other) => other !== HELP);
    const parameter = steeringCommands.find((known) => known.name === name)?.parameters[0];
    return parameter?.choices ?? (parameter?.isWorker ? this.#workers : []);
  }

  #finish(): void {
    this.#leave();
    this.#left.resolve(this.#refused);
  }

  #leave(): void {
    this.#hasLeft = true;
    this.#cli.hide();
    this.#editor.close();
  }
}

function deaf(): LockstepError {
  const why = "it is stopped, or has ended without a word";
  return new LockstepError(
    "E_RUN",
    `Cannot attach as the run has not answered for ${FIRST_ANSWER_MS / 1000} s: ${why}`,
  );
}

/** Why cliffy cannot take a line; null if it can. */
function problemOf(line: string): LockstepError | null {
  const [name] = line.trim().split(/\s+/);
  if (name !== "" && !NAMES.includes(name)) {
    return new LockstepError(
      "E_USAGE",
      `Cannot take the command ${name} as there is none: ${suggest(name, NAMES)}`,
    );
  }
  if (READABLE.test(line)) return null;
  return new LockstepError(
    "E_USAGE",
    `Cannot read the words after ${name}: they may have letters, digits, dots, dashes and underscores`,
  );
}

/** Prints what a run said; a worker's host may hold what would steer the terminal. */
function print(text: string): void {
  console.log(text.replaceAll(/[^\P{C}\n]/gu, "?"));
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
