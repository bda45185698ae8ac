import { resolveRunConfig } from "../../shared/config/resolve_run_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";

/** A run that is to be trained elsewhere. */
export interface TrainJob {
  /** What `train` is called with there. */
  readonly words: readonly string[];
  /** What it means, as far as it is known here. */
  readonly config: RunConfig;
  /** Keys that the words set. */
  readonly given: ReadonlySet<string>;
  /** Name of the task's preset. */
  readonly preset: string;
}

/** A system that runs jobs on machines of its own. */
export interface Launcher<Options> {
  /** The text that the system takes, for people to read and keep. Throws E_CONFIG for options that do not go together. */
  render(job: TrainJob, options: Options): Promise<string> | string;
  /** Hands it over, and resolves to what a person is told. Rejects with E_SUBMIT where the system does not take it. */
  submit(text: string, submission: { readonly job: TrainJob; readonly options: Options }): Promise<string>;
}

export interface SubmitOptions<Options> {
  readonly options: Options;
  readonly launcher: Launcher<Options>;
}

/**
 * Submits `train WORDS`, or prints what would be submitted. The words are read before anything waits in a queue for them:
 * throws what `train` would, E_PRESET and E_CONFIG among others.
 */
export async function submit<Options extends { readonly dry_run: boolean }>(
  words: readonly string[],
  { options, launcher }: SubmitOptions<Options>,
): Promise<number> {
  const { config, given, preset, notes } = await resolveRunConfig(words, {
    otherNames: Object.keys(options),
  });
  for (const note of notes) console.error(`note ${note}`);
  const job: TrainJob = { words, config, given, preset };
  const text = await launcher.render(job, options);
  if (options.dry_run) console.log(text.trimEnd());
  else console.log(await launcher.submit(text, { job, options }));
  return 0;
}

/**
 * Runs a program that takes jobs, and resolves to what it printed. Rejects with E_SUBMIT where it is not on the PATH
 * (`missing` says what to do then), or where it refuses.
 */
export async function callSubmitter(
  [program, ...args]: readonly string[],
  { input, missing }: { input: string; missing: string },
): Promise<string> {
  const child = spawn(program, { args, missing });
  const writer = child.stdin.getWriter();
  // One that refuses its words does not read to the end.
  await writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  if (success) return new TextDecoder().decode(stdout).trim();
  const said = new TextDecoder().decode(stderr).trim().replaceAll("\n", "; ");
  throw new LockstepError("E_SUBMIT", `Cannot submit the job as ${program} refused it: ${said}`);
}

function spawn(program: string, { args, missing }: { args: string[]; missing: string }): Deno.ChildProcess {
  try {
    return new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  } catch (cause) {
    throw new LockstepError(
      "E_SUBMIT",
      `Cannot submit the job as ${program} cannot be run: ${missing}, or print what it would be given with --dry_run`,
      { cause },
    );
  }
}
