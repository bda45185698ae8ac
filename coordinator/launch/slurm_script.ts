import { LockstepError } from "../../shared/errors.ts";
import { quoteWord, quoteWords } from "./quote_words.ts";

/** What a batch script asks Slurm for; null leaves it to the cluster. */
export interface SlurmOptions {
  readonly job_name: string;
  readonly nodes: number;
  readonly ntasks_per_node: number;
  readonly gpus_per_node: string | null;
  readonly cpus_per_task: number | null;
  readonly mem: string | null;
  readonly time: string | null;
  readonly partition: string | null;
  readonly account: string | null;
  readonly qos: string | null;
  readonly constraint: string | null;
  readonly array: string | null;
  /** Where the job's output goes; Slurm fills in %j, and %A and %a of an array. */
  readonly output: string;
  readonly signal: string | null;
  readonly requeue: boolean;
}

/** What a batch script runs. */
export interface SlurmJob {
  readonly options: SlurmOptions;
  /** The folder it runs in, absolute: paths in `words` may be relative to it. */
  readonly directory: string;
  /** Variables of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** How the program is called, and with which words. */
  readonly program: readonly string[];
  readonly words: readonly string[];
  /** Whether the run goes on without a node that is lost, as with `--nnodes=1:2`. */
  readonly elastic: boolean;
}

/**
 * The batch script of a job, which `sbatch` takes as it is: one step that runs the program once a task. Whoever keeps the
 * script can change and submit it again. Throws E_CONFIG for a path that is more than one line.
 */
export function renderSlurmScript(job: SlurmJob): string {
  const { options, environment, program, words, elastic } = job;
  const step = ["srun", ...stepOptions(options.cpus_per_task, elastic)].join(" ");
  return [
    "#!/bin/sh",
    ...directives(job).map((directive) => `#SBATCH ${directive}`),
    "",
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoteWord(value)}`),
    [step, quoteWords(program), quoteWords(words)].join(" \\\n  "),
    "",
  ].join("\n");
}

function directives({ options, directory, elastic }: SlurmJob): string[] {
  const { signal, requeue, output, ...asked } = options;
  const named = Object.entries(asked).flatMap(([name, value]) =>
    value === null ? [] : [`--${name.replaceAll("_", "-")}=${value}`]
  );
  return [
    ...named,
    `--chdir=${inQuotes(directory)}`,
    `--output=${inQuotes(output)}`,
    "--open-mode=append", // a job that comes back from the queue goes on writing where it was
    ...(signal === null ? [] : [`--signal=${signal}`]),
    requeue ? "--requeue" : "--no-requeue",
    ...(elastic ? ["--no-kill"] : []),
  ];
}

/** sbatch reads a directive's value to the next blank unless it stands in quotes. */
function inQuotes(path: string): string {
  if (/[\r\n]/.test(path)) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot name ${JSON.stringify(path)} in a batch script as it must be one line: choose another path`,
    );
  }
  return /[\s"\\#]/.test(path) ? `"${path.replaceAll(/["\\]/g, "\\$&")}"` : path;
}

/**
 * Since 22.05 a step does not inherit --cpus-per-task. Unless the run survives it, a node's bad end is the end of all, and
 * a minute after the first has ended well none can have anything left to do: one that does not answer is not waited for.
 */
function stepOptions(cpus: number | null, elastic: boolean): string[] {
  return [
    ...(elastic ? ["--no-kill", "--kill-on-bad-exit=0", "--wait=0"] : ["--kill-on-bad-exit=1", "--wait=60"]),
    ...(cpus === null ? [] : [`--cpus-per-task=${cpus}`]),
  ];
}
