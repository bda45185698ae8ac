/** A sweep as a Slurm array: each run is a job of one task, which Slurm puts back into the queue when its time is over. */
import { join } from "node:path";
import { z } from "zod";
import { about, optional, text } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { makeFolder } from "../../shared/files.ts";
import { type Environment, isSlurmStep } from "../launch/environment.ts";
import { programCommand } from "../launch/program_command.ts";
import { renderSlurmScript } from "../launch/slurm_script.ts";
import { sbatch } from "./sbatch.ts";
import { slurmOptions, slurmWord } from "./slurm_options.ts";
import type { PlannedRun } from "./sweep_plan.ts";

const { nodes: _nodes, ntasks_per_node: _tasks, array: _array, dry_run: _dryRun, ...ofArray } = slurmOptions;

/** What sbatch can be asked for of each run. */
export const arrayOptions = {
  ...ofArray,
  job_name: slurmWord("a name").default(null).register(about, {
    help: "The job's name; none is the sweep's",
  }),
  output: optional(text("a path")).default(null).register(about, {
    help: "Where output goes; none is out/SWEEP/slurm-JOB_INDEX.out",
  }),
};

const arraySchema = z.object(arrayOptions);

export type ArrayOptions = z.output<typeof arraySchema>;

export interface SubmitSweepOptions extends ArrayOptions {
  /** The sweep's file. */
  readonly file: string;
  readonly sweep: string;
  readonly results: string;
  /** The folder of the questions; null for what the file says. */
  readonly taskData: string | null;
  /** How many at a time; null for as many as Slurm finds room for. */
  readonly jobs: number | null;
  readonly dry_run: boolean;
}

/** Throws E_USAGE for an option of Slurm's on a machine of one's own, where it would mean nothing. */
export function refuseSlurmOptions(options: ArrayOptions): void {
  const usual: Record<string, unknown> = arraySchema.parse({});
  const [given] = Object.entries(options).find(([name, value]) => value !== usual[name]) ?? [];
  if (given === undefined) return;
  throw new LockstepError("E_USAGE", `Cannot take --${given} without --slurm as it is Slurm's: give both`);
}

/**
 * Gives sbatch an array of the runs that are not done, or prints its script. Rejects with E_SUBMIT where Slurm does not take it.
 */
export async function submitSweep(runs: readonly PlannedRun[], options: SubmitSweepOptions): Promise<number> {
  const waiting = runs.filter(({ state }) => state.kind !== "done");
  if (waiting.length === 0) {
    console.log(`${runs.length} runs: all are done`);
    return 0;
  }
  const { file, sweep, results, taskData, jobs, dry_run, job_name, ...asked } = options;
  const folder = join("out", sweep);
  const output = asked.output ?? join(folder, "slurm-%A_%a.out");
  const { environment, words } = programCommand();
  const script = renderSlurmScript({
    options: {
      job_name: job_name ?? sweep,
      ...asked,
      nodes: 1,
      ntasks_per_node: 1,
      array: `0-${waiting.length - 1}${jobs === null ? "" : `%${jobs}`}`,
      output,
    },
    directory: Deno.cwd(),
    environment,
    program: words,
    words: [
      ...["sweep", file, `--results=${results}`, `--only=${waiting.map(({ name }) => name).join(",")}`],
      ...(taskData === null ? [] : [`--task_data=${taskData}`]),
    ],
    elastic: false,
  });
  if (dry_run) {
    console.log(script.trimEnd());
    return 0;
  }
  const id = await sbatch(script, { output });
  const kept = join(folder, `job-${id}.sh`);
  await makeFolder(folder);
  await Deno.writeTextFile(kept, script);
  console.log(
    `job ${id} is in the queue, ${waiting.length} runs: its script is ${kept}, their output will be ${
      output.replaceAll("%A", id).replaceAll("%a", "*")
    }\nto look at it: squeue -j ${id}; to end it: scancel ${id}`,
  );
  return 0;
}

/**
 * The one run of `runs` that this process is the array's element for; null where it is none. Throws E_USAGE for an index that no
 * run has.
 */
export function elementOf<Run>(runs: readonly Run[], environment: Environment): Run[] | null {
  const index = environment.SLURM_ARRAY_TASK_ID;
  if (index === undefined || !isSlurmStep(environment)) return null;
  const run = runs.at(Number(index));
  if (run !== undefined) return [run];
  throw new LockstepError(
    "E_USAGE",
    `Cannot run element ${index} of the array as there are ${runs.length} runs: submit it with --array=0-${
      runs.length - 1
    }`,
  );
}
