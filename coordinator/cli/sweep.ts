import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { commandLine } from "../../shared/command_line.ts";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { isSavedRun } from "../../shared/saved_run.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { type Environment, isSlurmStep } from "../launch/environment.ts";
import { readSweep } from "../sweep/sweep_file.ts";
import { defineCommand } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { requeueJob } from "./requeue_job.ts";
import { type PlannedRun, planSweep } from "./sweep_plan.ts";
import { sweepRun, type SweepRunOutcome } from "./sweep_run.ts";
import { arrayOptions, elementOf, refuseSlurmOptions, submitSweep } from "./sweep_slurm.ts";
import { describeEnd, describePlan } from "./sweep_text.ts";

/** `sweep FILE.toml`: trains and measures every variant with every seed; what is done already is left as it is. */
export const command = defineCommand({
  summary: "Train and measure variants with several seeds, and compare them",
  usage: "FILE.toml [--jobs=N] [--only=RUN,…] [--slurm …] [--dry_run] | report FILE.toml …",
  options: {
    jobs: optional(wholeNumber(1)).default(null).register(about, {
      unit: "runs",
      help: "How many at a time; none is as many as there are cores for, or one on a GPU",
    }),
    results: optional(text("a folder")).default(null).register(about, {
      help: "Where results are kept; none is a folder beside the file, of its name",
    }),
    task_data: optional(text("a folder")).default(null).register(about, {
      help: "Folder of the questions on this machine (docs/evaluation.md), whatever the file says",
    }),
    dry_run: truth().default(false).register(about, {
      help:
        "Print the runs, what they cost and how far they are, or with --slurm the script, and start nothing",
    }),
    only: optional(text("names with commas between")).default(null).register(about, {
      help: "Names of the runs that are meant; none is all",
    }),
    slurm: truth().default(false).register(about, {
      help:
        "Whether each run that is not done becomes an element of a Slurm array; the options below are sbatch's",
    }),
    ...arrayOptions,
  },
  example: "lockstep sweep docs/experiments/kv-retrieval.toml --jobs=2",
  async run({ options, words }) {
    const [file, ...more] = words;
    if (file === undefined || more.length > 0) {
      throw new LockstepError("E_USAGE", `Cannot sweep: one TOML file is required, given ${words.length}`);
    }
    const { jobs, only, results: given, task_data: taskData, dry_run, slurm, ...asked } = options;
    if (!slurm) refuseSlurmOptions(asked);
    const sweep = await readSweep(file);
    const results = given ?? join(dirname(file), sweep.name);
    const runs = chosen(await planSweep(sweep, { results, taskData, say: console.log }), only);
    if (slurm) {
      await refuseUnready(runs);
      return await submitSweep(runs, { file, results, taskData, sweep: sweep.name, jobs, dry_run, ...asked });
    }
    if (dry_run) {
      console.log(describePlan(runs));
      return 0;
    }
    const environment = Deno.env.toObject();
    const element = elementOf(runs, environment);
    await refuseUnready(element ?? runs);
    if (element !== null) return await runAll(element, { jobs: 1, environment });
    const status = await runAll(runs, { jobs: jobs ?? await jobsFor(runs), environment });
    if (status === 0) console.log(`to compare them: ${commandLine(`sweep report ${file}`)}`);
    return status;
  },
});

/** The runs with these names. Throws E_USAGE for one that is none. */
function chosen(runs: readonly PlannedRun[], only: string | null): readonly PlannedRun[] {
  if (only === null) return runs;
  return only.split(",").map((name) => {
    const run = runs.find((run) => run.name === name);
    if (run !== undefined) return run;
    const names = runs.map(({ name }) => name).join(", ");
    throw new LockstepError("E_USAGE", `Cannot run only ${name} as the sweep's runs are ${names}`);
  });
}

/** Refuses, before anything starts, what is of another configuration, and what starts from weights that are not there. */
async function refuseUnready(runs: readonly PlannedRun[]): Promise<void> {
  for (const { name, state, from, sweep } of runs) {
    if (state.kind === "new" && from !== null && !await isTrained(from)) {
      throw new LockstepError(
        "E_WEIGHTS",
        `Cannot start ${name} from ${from.folder} as that run must be trained: run sweep ${sweep.from} first`,
      );
    }
    if (state.kind !== "changed") continue;
    throw new LockstepError(
      "E_CONFIG_HASH",
      `Cannot take ${state.path} for ${name} as it must have the sweep's configuration: ${
        state.differences.join(", ")
      }; give the old values, name the variant otherwise, or move it away`,
    );
  }
}

/** Whether its last weights are there. */
async function isTrained({ state, folder }: PlannedRun): Promise<boolean> {
  return state.kind === "trained" || (state.kind === "done" && await isSavedRun(folder));
}

/** One for each core that its workers leave, and one on a GPU. */
async function jobsFor(runs: readonly PlannedRun[]): Promise<number> {
  const [{ config }] = runs;
  const { device } = await chooseEngine(config);
  const { threads, nproc_per_node: workers } = config;
  if (device !== "cpu" || typeof workers !== "number") return 1;
  return Math.max(1, Math.floor(availableParallelism() / (threads * workers)));
}

/** One run whose files cannot be written does not end the others. */
function failedBy(error: unknown): SweepRunOutcome {
  if (!(error instanceof LockstepError)) throw error;
  return { kind: "failed", reason: `${error.code}: ${error.message}` };
}

interface RunAllOptions {
  /** How many at a time. */
  readonly jobs: number;
  readonly environment: Environment;
}

/** Runs them in their order; the exit status says whether all came to their end. */
async function runAll(runs: readonly PlannedRun[], { jobs, environment }: RunAllOptions): Promise<number> {
  const underSlurm = isSlurmStep(environment);
  const interrupt = interruptible({ underSlurm });
  const { signal } = interrupt;
  const waiting = runs.filter(({ state }) => state.kind !== "done");
  const done = runs.length - waiting.length;
  console.log(`${runs.length} runs: ${done} are done, ${Math.min(jobs, waiting.length)} at a time`);
  const outcomes: SweepRunOutcome[] = [];
  const width = Math.max(...runs.map(({ name }) => name.length));
  const worker = async () => {
    for (let run = waiting.shift(); run !== undefined && !signal.aborted; run = waiting.shift()) {
      const say = (sentence: string) => console.log(`${run.name.padEnd(width)}  ${sentence}`);
      const outcome = await sweepRun(run, { signal, reachesAll: underSlurm, say }).catch(failedBy);
      say(describeEnd(outcome));
      outcomes.push(outcome);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, worker));
    if (signal.aborted) console.log("the same command goes on from here");
    // A training puts its job back into the queue by itself.
    const isMeasuring = outcomes.some((outcome) => outcome.kind === "open" && outcome.isTrained);
    if (underSlurm && interrupt.isWarning && isMeasuring) await requeueJob(environment);
  } finally {
    interrupt.end();
  }
  if (outcomes.some(({ kind }) => kind === "failed")) return EXIT.failure;
  return signal.aborted || outcomes.some(({ kind }) => kind === "open") ? EXIT.tryAgain : 0;
}
